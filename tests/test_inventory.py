"""What lies in a cache is listed, verified and pruned by `audiotok cache`."""

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from runs import run
from typer.testing import CliRunner

from audiotok.cli import app
from audiotok.inventory import chosen, faults_of, take
from audiotok.store import Store


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A cache in which a run has left one thing of every kind."""
    folder = tmp_path_factory.mktemp("trained")
    run(folder / "run", f"cache_dir={folder}/cache", "augment=mixing")
    return folder / "cache"


@pytest.fixture
def cache(trained, tmp_path) -> Path:
    """A copy that a test may break."""
    shutil.copytree(trained, tmp_path / "cache")
    return tmp_path / "cache"


def audiotok(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["cache", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def of(cache: Path, kind: str):
    return next(item for item in take(Store(cache)) if item.entry.kind == kind)


def kinds(cache: Path) -> list[str]:
    return sorted({item.entry.kind for item in take(Store(cache))})


def age(folder: Path, days: float) -> None:
    then = time.time() - days * 24 * 60 * 60
    os.utime(folder, (then, then))


def test_everything_is_listed_with_what_it_is_made_of(trained):
    code, output = audiotok("list", "--cache-dir", trained)
    assert code == 0
    for words in (
        "24 x 8 product, fitted to",
        "24 x 8 product, clips of 1 s",
        "16 mel bins every 128 samples at 8000 Hz, clips of 1 s",
        "Synthetic",
        "parts",
    ):
        assert words in output
    for kind in ("centroids", "frames", "inspections", "manifests", "synthetic", "tokens"):
        assert kind in output
        assert of(trained, kind).n_bytes > 0
        assert of(trained, kind).days < 1
        assert not of(trained, kind).unused
    n_kept, n_rows = of(trained, "frames").n_rows
    assert (n_kept + of(trained, "tokens").n_rows[0], n_rows) == (36, 36)
    assert f"{n_kept} of 36" in output


def test_a_kind_may_be_listed_alone(trained):
    _, output = audiotok("list", "--cache-dir", trained, "--kind", "tokens")
    assert "product" in output
    assert "mel bins" not in output


def test_a_cache_that_is_not_there_is_empty(tmp_path):
    code, output = audiotok("list", "--cache-dir", tmp_path / "none")
    assert code == 0
    assert "0 bytes" in output


@pytest.mark.parametrize("verb", ["list", "verify", "prune"])
def test_unknown_kinds_and_a_file_in_place_of_a_cache_are_one_sentence(verb, tmp_path):
    known = "centroids, frames, inspections, manifests, synthetic, tokens"
    assert audiotok(verb, "--cache-dir", tmp_path / "none", "--kind", "frames", "--kind", "nope") == (
        1,
        f"--kind=nope is not known; choose from {known}.\n",
    )
    (tmp_path / "file").touch()
    assert audiotok(verb, "--cache-dir", tmp_path / "file", "--kind", "frames") == (
        1,
        f"--cache-dir={tmp_path}/file is a file; give a cache folder.\n",
    )


def test_names_in_the_list_are_no_markup(cache):
    [about] = cache.glob("manifests/*/manifest.json")
    sidecar = json.loads(about.read_text())
    sidecar["made_of"] |= {"source": "[/red]", "root": "/data/[old]:cat:"}
    about.write_text(json.dumps(sidecar))
    folder = cache.rename(cache.with_name("[bold]"))
    code, output = audiotok("list", "--cache-dir", folder)
    assert code == 0
    assert "[/red] /data/[old]:cat:" in output
    assert "[bold]" in output


def test_a_whole_cache_is_verified(trained):
    assert audiotok("verify", "--cache-dir", trained) == (
        0,
        f"{len(take(Store(trained)))} entries, 0 faults.\n",
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("frames", "rows.npy"),
        ("tokens", "rows.npy"),
        ("centroids", "mean.npy"),
        ("manifests", "manifest.parquet"),
        ("inspections", "part.parquet"),
    ],
)
def test_a_bit_that_has_flipped_is_found(cache, kind, name):
    item = of(cache, kind)
    path = item.entry.folder / name
    content = bytearray(path.read_bytes())
    if kind == "centroids":
        content[-1] ^= 1
    elif path.suffix == ".parquet":
        column = pq.read_metadata(path).row_group(0).column(0)
        begin = column.dictionary_page_offset or column.data_page_offset
        content[begin + column.total_compressed_size - 1] ^= 1
    else:
        [row, *_] = np.flatnonzero(np.load(item.entry.folder / "index.npy")["length"])
        content[-len(np.load(path)[row:].tobytes())] ^= 1
    path.write_bytes(content)
    assert len(faults_of(item)) == 1
    code, output = audiotok("verify", "--cache-dir", cache)
    assert code == 1
    assert str(item.entry.folder) in output
    assert "1 faults" in output


def test_what_another_process_removes_while_it_is_listed_is_left_out(trained, monkeypatch):
    there = Store(trained).entries()
    gone = [replace(there[0], folder=there[0].folder.with_name("gone"))]
    monkeypatch.setattr(Store, "entries", lambda store: gone + there)
    assert [item.entry for item in take(Store(trained))] == there


def test_prune_wants_to_know_what(cache):
    code, output = audiotok("prune", "--cache-dir", cache)
    assert code == 2
    assert "--days" in output
    assert len(kinds(cache)) == 6


def test_prune_by_kind_and_by_age(cache):
    assert (
        audiotok("prune", "--cache-dir", cache, "--kind", "frames", "--kind", "tokens", "--days", "3")[0] == 0
    )
    assert len(kinds(cache)) == 6
    age(of(cache, "tokens").entry.folder, 4)
    audiotok("prune", "--cache-dir", cache, "--kind", "frames", "--kind", "tokens", "--days", "3")
    assert kinds(cache) == ["centroids", "frames", "inspections", "manifests", "synthetic"]
    audiotok("prune", "--cache-dir", cache, "--kind", "frames")
    assert kinds(cache) == ["centroids", "inspections", "manifests", "synthetic"]


def test_a_dry_run_removes_nothing(cache):
    code, output = audiotok("prune", "--cache-dir", cache, "--kind", "frames", "--dry-run")
    assert code == 0
    assert "Would be removed" in output
    assert "mel bins" in output
    assert "frames" in kinds(cache)


def test_what_nothing_reads_any_more_is_unused(cache):
    assert chosen(take(Store(cache)), (), unused=True) == []
    [about] = cache.glob("frames/*/about.json")
    about.write_text(json.dumps(json.loads(about.read_text()) | {"version": 0}))
    (cache / "synthetic" / ".0123456789abcdef-killed").mkdir()
    Store(cache).remove(of(cache, "centroids").entry)
    found = {item.entry.kind: item.unused for item in chosen(take(Store(cache)), (), unused=True)}
    assert found == {
        "frames": "outdated version 0",
        "synthetic": "left by a killed process",
        "tokens": "its centroids are gone",
    }
    audiotok("prune", "--cache-dir", cache, "--unused")
    assert kinds(cache) == ["inspections", "manifests", "synthetic"]
    assert [path.name for path in cache.glob("synthetic/.*")] == [".guard.lock"]


def test_what_is_locked_stays(cache):
    frames, tokens = of(cache, "frames").entry, of(cache, "tokens").entry
    held = Store(cache).hold("frames", frames.key)
    with FileLock(tokens.folder.with_suffix(".lock")):
        code, output = audiotok("prune", "--cache-dir", cache, "--kind", "frames", "--kind", "tokens")
    assert code == 0
    assert "2 are in use" in output
    assert frames.folder.is_dir()
    assert tokens.folder.is_dir()
    held.release()
    audiotok("prune", "--cache-dir", cache, "--kind", "frames", "--kind", "tokens")
    assert not frames.folder.exists()
    assert not tokens.folder.exists()


def test_what_lies_elsewhere_stays(cache, tmp_path):
    precious = tmp_path / "precious" / "0123456789abcdef"
    precious.mkdir(parents=True)
    (cache / "frames" / "fedcba9876543210").symlink_to(precious, target_is_directory=True)
    shutil.rmtree(cache / "tokens")
    (cache / "tokens").symlink_to(precious.parent, target_is_directory=True)
    audiotok("prune", "--cache-dir", cache, "--kind", "frames", "--kind", "tokens")
    assert precious.is_dir()


def test_folders_of_other_kinds_are_listed_and_removed_only_by_name(cache):
    precious = cache / "precious" / "holiday"
    precious.mkdir(parents=True)
    age(precious, 4)
    assert "precious" in audiotok("list", "--cache-dir", cache)[1]
    assert audiotok("verify", "--cache-dir", cache)[0] == 0
    audiotok("prune", "--cache-dir", cache, "--days", "3")
    assert precious.is_dir()
    audiotok("prune", "--cache-dir", cache, "--kind", "precious")
    assert not precious.exists()


def test_prune_deletes_what_killed_processes_have_left(cache):
    for name in (".0123456789abcdef.12ab.hold", "0123456789abcdef.lock"):
        (cache / "frames" / name).touch()
    (cache / "frames" / ".0123456789abcdef-x").mkdir()
    audiotok("prune", "--cache-dir", cache, "--unused")
    assert not list(cache.glob("frames/*0123456789abcdef*"))


def lose(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def fill_with_brackets(path: Path) -> None:
    path.write_bytes(b"[" * path.stat().st_size)


@pytest.mark.parametrize("damage", [lose, cut, replace_by_folder, replace_by_pipe, fill_with_brackets])
def test_damaged_entries_are_listed_named_by_verify_and_removed(cache, damage):
    entries = {item.entry.folder for item in take(Store(cache))}
    for folder in entries:
        damage(next(path for path in sorted(folder.rglob("*")) if path.is_file()))
    assert audiotok("list", "--cache-dir", cache)[0] == 0
    code, output = audiotok("verify", "--cache-dir", cache)
    assert code == 1
    assert all(f"{folder}: " in output for folder in entries)
    assert audiotok("prune", "--cache-dir", cache, "--days", "0.0000001")[0] == 0
    assert take(Store(cache)) == []


def test_a_damaged_sidecar_is_no_obstacle(cache):
    for name in ("tokens/*/about.json", "centroids/*/vocabulary.json", "manifests/*/manifest.json"):
        [path] = cache.glob(name)
        path.write_text('{"made_of": [], "checksum": []}' if "manifest" in name else "[]")
    assert audiotok("list", "--cache-dir", cache)[0] == 0
    assert of(cache, "tokens").unused == of(cache, "centroids").unused == "its sidecar is missing"
    assert of(cache, "tokens").about == ""
