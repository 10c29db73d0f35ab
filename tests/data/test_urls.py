"""A corpus at `s3://` and at `hf://`, from servers on loopback: the clips of folders, or one sentence."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from layouts import WRITERS, write_layout
from loopback import Server, serve
from tiny import tiny_source
from torch.utils.data import DataLoader, Dataset

from audiotok.data.audio import read_mono
from audiotok.data.clip import Location
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.manifest import open_manifest, update_manifest
from audiotok.data.layout.layout import sound_of
from audiotok.data.reading.files import Files
from audiotok.engine.local import Local
from audiotok.errors import UnreachableError, UserError
from audiotok.store import Store

REPOSITORY, COMMIT = "datasets/agkphysics/AudioSet", "0123456789" * 4
KINDS = [
    kind for kind in WRITERS if kind not in {"ast_json", "hdf5_mp3", "webdataset"}
]  # local paths; as hdf5; as tar


class Peaks(Dataset[float]):
    """What a worker of a DataLoader hears."""

    def __init__(self, locations: list[Location]) -> None:
        self.locations = locations

    def __len__(self) -> int:
        return len(self.locations)

    def __getitem__(self, row: int) -> float:
        return float(np.abs(read_mono(sound_of(self.locations[row]))[0]).max())


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """The address of a server that speaks S3."""
    pytest.importorskip("s3fs", reason="needs s3fs: pip install 'audiotok[s3]'")
    moto = pytest.importorskip("moto.server", reason="needs moto: pip install 'audiotok[dev]'")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket."""
    import s3fs

    secrets = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    patience = {"AWS_MAX_ATTEMPTS": "1", "NO_PROXY": "127.0.0.1"}
    for name, value in {**secrets, **patience, "AWS_ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem(skip_instance_cache=True)
    files.mkdir("bucket")
    yield "s3://bucket"
    files.rm("bucket", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def put(folder: Path, url: str) -> str:
    """Copy a corpus to a bucket."""
    import s3fs

    s3fs.S3FileSystem(skip_instance_cache=True).put(f"{folder}/", f"{url}/corpus/", recursive=True)
    return f"{url}/corpus"


# ---- s3 ----


@pytest.mark.parametrize("kind", KINDS)
def test_every_layout_is_read_from_s3(s3, kind, tiny_audioset, tmp_path):
    write_layout(kind, tiny_audioset, tmp_path / "here")
    url = put(tmp_path / "here", s3)
    here, there = (
        open_manifest(tiny_source(place), Store(tmp_path / "cache")).table
        for place in (tmp_path / "here", url)
    )
    assert there.drop(["path"]) == here.drop(["path"])
    assert set(there["status"].to_pylist()) == {"usable"}
    assert all(path.startswith(f"{url}/audio/") for path in there["path"].to_pylist())


def test_forked_workers_read_from_s3_what_the_main_process_reads(s3, tiny_audioset, tmp_path):
    table = open_manifest(tiny_source(put(tiny_audioset, s3)), Store(tmp_path)).table
    peaks = Peaks([clip.location for clip in Catalogue(table)])
    here = [peaks[row] for row in range(len(peaks))]
    assert here == pytest.approx(table["peak"].to_pylist())
    loader = DataLoader(peaks, batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert list(loader) == here


def test_an_object_that_has_changed_is_inspected_again(s3, tiny_audioset, tmp_path):
    import s3fs

    url = put(tiny_audioset, s3)
    table = open_manifest(tiny_source(url), Store(tmp_path)).table
    s3fs.S3FileSystem(skip_instance_cache=True).pipe(table["path"][0].as_py(), b"not a sound")
    s3fs.S3FileSystem.clear_instance_cache()  # as a new process would begin
    again = open_manifest(tiny_source(url), Store(tmp_path)).table
    assert again["status"].to_pylist() == ["broken", *["usable"] * (len(table) - 1)]


def test_a_bucket_that_is_not_there_is_one_sentence(s3):
    with pytest.raises(UserError, match=r"data\.root=s3://none/corpus has no folder metadata"):
        tiny_source("s3://none/corpus").read()


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_ENDPOINT_URL", "http://127.0.0.1:9"), ("AWS_ACCESS_KEY_ID", None)]
)
def test_a_server_that_does_not_answer_or_knows_nobody_is_one_sentence(s3, monkeypatch, name, value):
    if value is None:
        monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(
        UnreachableError, match=r"^s3://bucket/corpus/metadata cannot be reached \(.*network\.$"
    ):
        tiny_source("s3://bucket/corpus").read()


# ---- hf ----


@pytest.fixture
def hub(tiny_audioset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with the parquet shards of the tiny corpus, as the Hub has AudioSet's."""
    pytest.importorskip("huggingface_hub")
    write_layout("parquet", tiny_audioset, tmp_path / "hub")
    shards = {path.relative_to(tmp_path / "hub"): path for path in (tmp_path / "hub").rglob("*.parquet")}
    with serve() as server:
        server.headers = {"X-Repo-Commit": COMMIT}
        server.files[f"/api/{REPOSITORY}"] = json.dumps({"id": REPOSITORY, "sha": COMMIT}).encode()
        rows = []
        for name, path in shards.items():
            server.files[f"/{REPOSITORY}/resolve/main/{name}"] = path.read_bytes()
            rows.append({"type": "file", "path": str(name), "size": path.stat().st_size, "oid": COMMIT})
        top = [{"type": "directory", "path": "audio", "size": 0, "oid": COMMIT}]
        server.files[f"/api/{REPOSITORY}/tree/main"] = json.dumps(top).encode()
        for folder in {parent for name in shards for parent in name.parents if parent.name}:
            listed = [row for row in rows if row["path"].startswith(f"{folder}/")]
            server.files[f"/api/{REPOSITORY}/tree/main/{folder}"] = json.dumps(listed).encode()
        yield server


LISTED = """
import sys
from audiotok.data.corpus.manifest import open_manifest
from audiotok.store import Store
from huggingface_hub import HfFileSystem
from tiny import tiny_source
for _ in sys.stdin:
    HfFileSystem.clear_instance_cache()  # as a new process would begin
    source = tiny_source(sys.argv[1], metadata_folder=sys.argv[2])
    table = open_manifest(source, Store(sys.argv[3])).table
    print(table.select(["id", "status", "peak", "labels", "split"]).to_pylist(), flush=True)
"""


@pytest.fixture
def listed(hub: Server, tiny_audioset: Path, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """What the manifest of the hub says, in a process of its own: huggingface_hub reads its settings once."""
    metadata = str(tiny_audioset / "metadata")
    command = [sys.executable, "-c", LISTED, f"hf://{REPOSITORY}", metadata, str(tmp_path / "cache")]
    paths = ":".join(path for path in sys.path if path)
    environment = {
        "HF_ENDPOINT": hub.url,
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": paths,
        "HOME": str(tmp_path),
    }

    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:

        def listed() -> str:
            process.stdin.write("again\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        yield listed
        process.stdin.close()


def test_audioset_is_read_from_the_hub_and_again_where_it_has_changed(hub, listed, tiny_audioset, tmp_path):
    found = listed()
    table = open_manifest(tiny_source(tiny_audioset), Store(tmp_path / "here")).table
    assert found == str(table.select(["id", "status", "peak", "labels", "split"]).to_pylist())
    read = {asked for path, asked, _ in hub.requests if "/resolve/" in path}
    assert all(asked.startswith("bytes=") for asked in read)  # parts, not whole shards
    n_asked = len(hub.requests)
    assert listed() == found
    assert not [path for path, *_ in hub.requests[n_asked:] if "/resolve/" in path]
    for path, content in hub.files.items():
        if "/tree/" in path:
            hub.files[path] = content.replace(b'"oid": "0', b'"oid": "1')  # the Hub tells no times
    n_asked = len(hub.requests)
    assert listed() == found
    assert [path for path, *_ in hub.requests[n_asked:] if "/resolve/" in path]


# ---- what may be another time ----


def test_a_part_whose_server_does_not_answer_is_tried_again_and_no_clip_called_broken(
    tiny_audioset, tmp_path, monkeypatch
):
    read, n_reads = Files.read, 0

    def flaky(self: Files, path: str, start: int = 0, size: int | None = None) -> bytes:
        nonlocal n_reads
        n_reads += path.endswith((".flac", ".wav", ".ogg"))
        if n_reads == 3:
            n_reads += 1
            raise UnreachableError(f"{path} cannot be reached (cut); see to the network.")
        return read(self, path, start, size)

    monkeypatch.setattr(Files, "read", flaky)
    table = update_manifest(tiny_source(tiny_audioset), Store(tmp_path), Local(1)).table
    assert n_reads > 3
    assert set(table["status"].to_pylist()) == {"usable"}
