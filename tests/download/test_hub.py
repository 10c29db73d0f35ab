"""AudioSet's audio through huggingface_hub, from a server that speaks as much of the Hub as that takes."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from layouts import clips_of, write_parquet
from tiny import tiny_source, write_tiny_audioset

from audiotok.download.audioset import AUDIO_REPOSITORY, TABLES
from audiotok.download.hub import fetch_folders
from audiotok.download.record import Record
from audiotok.errors import UserError

pytest.importorskip("huggingface_hub")
SHARDS = {f"data/eval/{i:02}.parquet": np.random.default_rng(i).bytes(200_000) for i in range(2)}
COMMIT = "0123456789" * 4


@pytest.fixture
def hub(server):
    """A server with two shards of the set eval, listed with their SHA-256, and one small file."""
    for path, content in SHARDS.items():
        server.files[f"/datasets/{AUDIO_REPOSITORY}/resolve/main/{path}"] = content
    list_files(server, {path: hashlib.sha256(content).hexdigest() for path, content in SHARDS.items()})
    server.headers = {"X-Repo-Commit": COMMIT}
    return server


def list_files(server, sha256):
    rows = [
        {
            "type": "file", "path": path, "size": len(SHARDS[path]), "oid": COMMIT,
            "lfs": {"oid": digest, "size": len(SHARDS[path]), "pointerSize": 134},
        }
        for path, digest in sha256.items()
    ]  # fmt: skip
    server.files[f"/api/datasets/{AUDIO_REPOSITORY}/tree/main/data/eval"] = json.dumps(rows).encode()


@pytest.fixture
def bring(hub, tmp_path):
    """Fetch the set eval as a new process would, and return the bytes that are there then."""

    def bring():
        return fetch_folders(AUDIO_REPOSITORY, ["data/eval"], tmp_path, Record(tmp_path), hub.url)

    return bring


def test_the_files_of_a_set_come_as_they_lie_on_the_hub(bring, tmp_path):
    assert bring() == sum(map(len, SHARDS.values()))
    assert {path: (tmp_path / path).read_bytes() for path in SHARDS} == SHARDS
    record = json.loads((tmp_path / "download.json").read_text())
    assert record["files"].keys() == SHARDS.keys()


def test_a_set_that_is_there_is_only_listed(bring, hub):
    bring()
    before = len(hub.requests)
    bring()
    assert [path for path, *_ in hub.requests[before:]] == [
        f"/api/datasets/{AUDIO_REPOSITORY}/tree/main/data/eval"
    ]


def test_only_what_is_missing_comes(bring, hub, tmp_path):
    bring()
    (tmp_path / "data/eval/01.parquet").unlink()
    before = hub.sent
    bring()
    assert hub.sent - before < 1.1 * len(SHARDS["data/eval/01.parquet"])


def test_a_cut_connection_does_no_harm(bring, hub, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    hub.cut_after = [10**6, 50_000]  # the listing, and the first shard
    bring()
    assert {path: (tmp_path / path).read_bytes() for path in SHARDS} == SHARDS


def test_a_shard_that_is_not_as_listed_is_thrown_away(bring, hub, tmp_path):
    list_files(hub, dict.fromkeys(SHARDS, "0" * 64))
    with pytest.raises(UserError, match=r"sent data/eval/00\.parquet with the checksum sha256:.*discarded"):
        bring()
    assert not (tmp_path / "data/eval/00.parquet").exists()


def test_a_repository_that_is_not_there_is_told(bring, hub):
    hub.files.clear()
    with pytest.raises(UserError, match=f"/datasets/{AUDIO_REPOSITORY} cannot be read .*404"):
        bring()


def test_a_hub_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # it tries again for 23 s
    with pytest.raises(UserError, match=r"cannot be read .*run the same command again"):
        fetch_folders("a/b", ["data"], tmp_path, Record(tmp_path), "http://127.0.0.1:9")


def test_a_missing_huggingface_hub_says_what_to_install(bring, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"pip install 'audiotok\[download\]'"):
        bring()


def test_the_command_brings_tables_and_audio_from_the_endpoint_of_the_environment(hub, tmp_path):
    """HF_ENDPOINT is read when huggingface_hub is imported, so this is a process of its own."""
    write_tiny_audioset(tmp_path / "there")
    code = (
        "import dataclasses, sys\n"
        "from audiotok.download.download import RELEASES\n"
        "from audiotok.download.release import Remote\n"
        "tables = RELEASES['audioset']\n"
        "files = tuple(Remote(file.name) for file in tables.files)\n"
        f"tables = dataclasses.replace(tables, base_url={hub.url!r}, files=files)\n"
        "RELEASES['audioset'] = tables\n"
        "from audiotok.cli import app; app(sys.argv[1:])\n"
    )
    for path in (tmp_path / "there" / "metadata").iterdir():
        hub.files[f"/{path.name}"] = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", code, "download", "audioset", "--to", "got", "--set", "eval"],
        env={**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")},
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        "python train.py data=audioset data.root=got data.audio_folder=data"
    )
    assert (tmp_path / "got" / "data/eval/01.parquet").read_bytes() == SHARDS["data/eval/01.parquet"]
    assert {p.name for p in (tmp_path / "got" / "metadata").iterdir()} == {file.name for file in TABLES.files}


def test_what_comes_is_what_the_printed_command_reads(tmp_path):
    write_tiny_audioset(tmp_path / "there")
    got = tmp_path / "got"
    shutil.copytree(tmp_path / "there" / "metadata", got / TABLES.files_folder)
    for name, clips in clips_of(tmp_path / "there"):
        write_parquet(got / "data" / name / "00.parquet", clips)
    listing = tiny_source(got, audio_folder="data", layout="auto").read()
    assert {clip.location.layout for clip in listing.clips} == {"parquet"}
    assert len(listing.clips) == 32
