"""A corpus is inspected once, in parts; what is kept is used again, or made again where it cannot be."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import soundfile
from tiny import SAMPLE_RATE, path_of, tiny_source

from audiotok.data.audioset import AudioSet
from audiotok.data.corpus import manifest as manifests
from audiotok.data.corpus.catalogue import SCHEMA, Catalogue
from audiotok.data.corpus.manifest import (
    Manifest,
    open_manifest,
    update_manifest,
)
from audiotok.data.limits import Limits
from audiotok.data.reading.files import Files
from audiotok.disk.checksum import write_checksums
from audiotok.engine.local import Local
from audiotok.errors import UserError
from audiotok.kinds import MANIFESTS
from audiotok.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def root(tiny_audioset: Path, tmp_path: Path) -> Path:
    """A copy of the tiny corpus that a test may change: 24 + 8 clips."""
    return shutil.copytree(tiny_audioset, tmp_path / "corpus")


class Counting(Local):
    """An engine that counts what it inspects."""

    def __init__(self) -> None:
        super().__init__(n_workers=1)
        self.n_clips: list[int] = []

    def map(self, function: Callable[[Any], Any], parts: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        self.n_clips.append(sum(map(len, parts)))
        return super().map(function, parts)


@pytest.fixture
def engine() -> Counting:
    return Counting()


def rows(manifest: Manifest) -> list[dict]:
    return manifest.table.to_pylist()


# ---- what is in it ----


def test_every_listed_clip_is_a_row_in_the_order_of_ids(root, store):
    manifest = open_manifest(tiny_source(root), store)
    listing = tiny_source(root).read()
    assert manifest.table.schema == SCHEMA
    assert manifest.classes == listing.classes
    by_id = {clip.id: clip for clip in listing.clips}
    assert [row["id"] for row in rows(manifest)] == sorted(by_id)
    for clip, row in zip(Catalogue(manifest.table), rows(manifest), strict=True):
        assert replace(clip, seconds=0.0, digest=0) == by_id[clip.id]
        assert (row["seconds"], row["rate"], row["channels"]) == (1.0, SAMPLE_RATE, 1)
        assert 0.1 < row["peak"] < 1
        assert (row["status"], row["detail"]) == ("usable", "")


def test_clips_that_cannot_be_used_are_rows_with_their_reason(root, store):
    clips = tiny_source(root).read().clips
    path_of(clips[0]).unlink()
    path_of(clips[1]).write_bytes(b"")
    path_of(clips[2]).write_text("404 not found")
    soundfile.write(path_of(clips[3]), np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    soundfile.write(path_of(clips[4]), np.ones(SAMPLE_RATE // 4), SAMPLE_RATE)
    status = {row["id"]: row["status"] for row in rows(open_manifest(tiny_source(root), store))}
    expected = ["missing", "empty", "broken", "silent", "short", "usable"]
    assert [status[clip.id] for clip in clips[:6]] == expected


def test_sidecar_says_what_the_manifest_is_made_of(root, store):
    manifest = open_manifest(tiny_source(root), store)
    sidecar = json.loads((manifest.folder / "manifest.json").read_text())
    assert sidecar["n_clips"] == 32
    assert sidecar["classes"][0] == ["/m/0a", "Low tone"]
    assert sidecar["made_of"]["source"] == "AudioSet"
    assert sidecar["made_of"]["validation"]["first_characters"] == "ABCDEF"
    assert {"tables", "audio"} <= sidecar["made_of"].keys()


# ---- when it is made ----


def test_second_opening_inspects_nothing_and_says_the_same(root, store, engine):
    first = update_manifest(tiny_source(root), store, engine)
    assert update_manifest(tiny_source(root), store, engine).table == first.table
    assert engine.n_clips == [32]


def test_settings_that_no_row_depends_on_share_a_manifest(root, store, engine):
    for changes in ({}, {"clip_seconds": 0.5}, {"cache": "frames"}):
        update_manifest(tiny_source(root, **changes), store, engine)
    assert engine.n_clips == [32]


@pytest.mark.parametrize(
    "changes", [{"limits": Limits(0.5, 2.0, -80.0)}, {"classes": "present"}, {"train_sets": ["unbal_train"]}]
)
def test_other_settings_have_a_manifest_of_their_own_and_share_inspections(root, store, engine, changes):
    first = update_manifest(tiny_source(root), store, engine)
    second = update_manifest(tiny_source(root, **changes), store, engine)
    assert second.folder != first.folder
    sets = changes.get("train_sets")
    assert engine.n_clips == [32, 14 if sets else 0]


@pytest.mark.usefixtures("small_parts")
def test_a_clip_that_changes_or_comes_has_its_part_inspected_again(root, store, engine):
    clips = tiny_source(root).read().clips
    lost = path_of(clips[0])
    content = lost.read_bytes()
    lost.unlink()
    path_of(clips[2]).unlink()  # stays away: 30 and 31 clips make as many parts, 32 would make more
    update_manifest(tiny_source(root), store, engine)
    lost.write_bytes(content)
    manifest = update_manifest(tiny_source(root), store, engine)
    soundfile.write(path_of(clips[1]), np.zeros(SAMPLE_RATE // 2), SAMPLE_RATE)
    changed = update_manifest(tiny_source(root), store, engine)
    assert engine.n_clips[0] == 30
    assert all(1 <= n <= 10 for n in engine.n_clips[1:])
    assert [row["id"] for row in rows(manifest) if row["status"] == "missing"] == [clips[2].id]
    assert [row["id"] for row in rows(changed) if row["status"] == "silent"] == [clips[1].id]


def test_metadata_that_changes_makes_another_manifest(root, store, engine):
    update_manifest(tiny_source(root), store, engine)
    table = root / "metadata" / "eval_segments.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    assert len(update_manifest(tiny_source(root), store, engine).table) == 31


def test_copy_of_the_corpus_elsewhere_is_not_inspected_again(root, store, engine, tmp_path):
    first = update_manifest(tiny_source(root), store, engine)
    shutil.copytree(root, tmp_path / "there")  # keeps the times of modification
    second = update_manifest(tiny_source(tmp_path / "there"), store, engine)
    assert engine.n_clips == [32, 0]
    assert second.table.drop(["path"]) == first.table.drop(["path"])


@pytest.mark.usefixtures("small_parts")
def test_what_was_stopped_goes_on_where_it_was(root, store, engine):
    class Stopped(Local):
        def map(self, function, parts):
            yield from super().map(function, parts[:3])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update_manifest(tiny_source(root), store, Stopped(1))
    assert not [path for path in (store.root / "manifests").iterdir() if path.is_dir()]
    manifest = update_manifest(tiny_source(root), store, engine)
    assert 0 < engine.n_clips[0] < 32
    assert {row["status"] for row in rows(manifest)} == {"usable"}


@pytest.mark.usefixtures("small_parts")
def test_the_order_in_which_parts_are_done_does_not_matter(root, store, tmp_path):
    class Backwards(Local):
        def map(self, function, parts):
            return super().map(function, parts[::-1])

    expected = open_manifest(tiny_source(root), store)
    made = update_manifest(tiny_source(root), Store(tmp_path / "other"), Backwards(1))
    assert made.table == expected.table


def test_a_clip_that_could_not_be_read_is_looked_at_again_and_only_its_neighbours(
    root, store, engine, small_parts, monkeypatch, caplog
):
    clips = tiny_source(root).read().clips
    read = Files.read

    def flaky(self, path, start=0, size=None):
        if path == clips[0].location.path:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return read(self, path, start, size)

    monkeypatch.setattr(Files, "read", flaky)
    first = update_manifest(tiny_source(root), store, engine)
    again = update_manifest(tiny_source(root), store, engine)
    [row] = [row for row in rows(first) if row["status"] != "usable"]
    assert (row["id"], row["status"], row["detail"]) == (clips[0].id, "unread", "Permission denied")
    assert again.table == first.table
    assert "could not be read when it was made" in caplog.text
    monkeypatch.setattr(Files, "read", read)
    whole = update_manifest(tiny_source(root), store, engine)
    assert {row["status"] for row in rows(whole)} == {"usable"}
    n_all, *n_again = engine.n_clips
    assert n_all == len(clips)
    assert all(0 < n < n_all / 2 for n in n_again)


# ---- without looking ----


def test_with_scan_once_the_manifest_used_last_is_taken_and_no_file_looked_at(
    root, store, caplog, monkeypatch
):
    clips = tiny_source(root).read().clips
    first = open_manifest(tiny_source(root), store)
    path_of(clips[0]).unlink()
    second = open_manifest(tiny_source(root), store)
    path_of(clips[1]).unlink()
    os.utime(first.folder, (1, 1))  # used long ago
    monkeypatch.setattr(AudioSet, "fingerprint_of_audio", lambda source: pytest.fail("looked"))
    monkeypatch.setattr(AudioSet, "read", lambda source: pytest.fail("looked"))
    caplog.set_level("INFO")
    taken = open_manifest(tiny_source(root, scan="once"), store)
    assert (taken.folder, taken.table) == (second.folder, second.table)
    assert f"Reused the manifest {second.folder}" in caplog.text


def test_a_relative_root_is_another_corpus_in_another_folder(root, store, tmp_path, monkeypatch):
    other = shutil.copytree(root, tmp_path / "other")
    monkeypatch.chdir(root)
    here = open_manifest(tiny_source("."), store)
    monkeypatch.chdir(other)
    there = open_manifest(tiny_source(".", scan="once"), store)
    assert all(row["path"].startswith(f"{other}/") for row in rows(there))
    assert open_manifest(tiny_source(root, scan="once"), store).folder == here.folder


def test_with_scan_once_a_corpus_without_a_manifest_is_looked_at(root, store, caplog):
    caplog.set_level("INFO")
    made = open_manifest(tiny_source(root, scan="once"), store)
    assert "all files are checked" in caplog.text
    assert made.folder == open_manifest(tiny_source(root), store).folder


@pytest.mark.parametrize("changes", [{"limits": Limits(0.5, 2.0, -80.0)}, {"check": "header"}])
def test_with_scan_once_a_manifest_of_other_settings_is_not_taken(root, store, changes):
    other = open_manifest(tiny_source(root, **changes), store)
    assert open_manifest(tiny_source(root, scan="once"), store).folder != other.folder


def test_with_scan_once_other_tables_are_noticed(root, store):
    open_manifest(tiny_source(root), store)
    table = root / "metadata" / "eval_segments.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    assert len(open_manifest(tiny_source(root, scan="once"), store).table) == 31


def test_with_scan_once_a_manifest_that_cannot_be_used_is_passed_over(root, store):
    made = open_manifest(tiny_source(root), store)
    age(made.folder)
    path_of(tiny_source(root).read().clips[0]).unlink()
    taken = open_manifest(tiny_source(root, scan="once"), store)
    assert [row["status"] for row in rows(taken)].count("missing") == 1


def test_preparing_looks_at_the_files_whatever_scan_is(root, store):
    update_manifest(tiny_source(root), store)
    path_of(tiny_source(root).read().clips[0]).unlink()
    made = update_manifest(tiny_source(root, scan="once"), store)
    assert [row["status"] for row in rows(made)].count("missing") == 1


def test_tables_that_take_long_are_no_look_at_files(root, store, caplog, monkeypatch):
    caplog.set_level("INFO")
    now = [0.0]

    def slow(source: AudioSet) -> str:
        now[0] += 100  # as the embedded corpus is written
        return "tables"

    monkeypatch.setattr(AudioSet, "fingerprint_of_tables", slow)
    monkeypatch.setattr(manifests.time, "monotonic", lambda: now[0])
    update_manifest(tiny_source(root), store, Local(1))
    assert now == [100.0]
    assert "data.scan=once" not in caplog.text


def test_a_look_that_takes_long_names_the_setting(root, store, caplog, monkeypatch):
    caplog.set_level("INFO")
    open_manifest(tiny_source(root), store)
    assert "data.scan=once" not in caplog.text
    monkeypatch.setattr(manifests, "_SLOW", -1.0)
    open_manifest(tiny_source(root), store)
    assert "data.scan=once" in caplog.text


# ---- what cannot be used ----


def age(folder: Path, version: object = 0) -> None:
    sidecar = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**sidecar, "version": version}))
    write_checksums(folder)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rewrite(folder: Path, change) -> None:
    import pyarrow.parquet as pq

    pq.write_table(change(pq.read_table(folder / "manifest.parquet")), folder / "manifest.parquet")
    write_checksums(folder)


DAMAGE = {
    "older version": (age, f"version 0, not {MANIFESTS.version}"),
    "clips inspected otherwise": (partial(age, version="1.3"), f"version 1.3, not {MANIFESTS.version}"),
    "no sidecar": (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
    "sidecar cut": (
        lambda folder: (folder / "manifest.json").write_text("{"),
        "manifest.json has another size",
    ),
    "no table": (lambda folder: (folder / "manifest.parquet").unlink(), "manifest.parquet is missing"),
    "table cut": (lambda folder: os.truncate(folder / "manifest.parquet", 500), "has another size"),
    "no checksums": (lambda folder: (folder / "checksums.json").unlink(), "an earlier version made it"),
    "flipped": (lambda folder: flip(folder / "manifest.parquet"), "manifest.parquet does not match"),
    "a row too few": (lambda folder: rewrite(folder, lambda table: table[1:]), "31 rows"),
    "no column": (lambda folder: rewrite(folder, lambda table: table.drop(["peak"])), "columns"),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGE.values(), ids=DAMAGE)
def test_a_manifest_that_cannot_be_used_is_made_again_and_said_so(root, store, engine, caplog, damage, said):
    first = update_manifest(tiny_source(root), store, engine)
    damage(first.folder)
    assert update_manifest(tiny_source(root), store, engine).table == first.table
    assert said in caplog.text
    assert "it is made again" in caplog.text
    assert engine.n_clips == [32, 0]


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"x"), lambda path: path.unlink()])
def test_a_part_that_cannot_be_read_is_inspected_again(root, store, engine, damage):
    first = update_manifest(tiny_source(root), store, engine)
    [part] = (store.root / "inspections").glob("*/part.parquet")
    damage(part)
    (first.folder / "manifest.json").unlink()
    assert update_manifest(tiny_source(root), store, engine).table == first.table
    assert engine.n_clips == [32, 32]


def test_header_checks_have_manifests_and_parts_of_their_own(root, store, engine):
    soundfile.write(path_of(tiny_source(root).read().clips[0]), np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    statuses = [
        {row["status"] for row in rows(update_manifest(tiny_source(root, check=check), store, engine))}
        for check in ("decode", "header")
    ]
    assert statuses == [{"usable", "silent"}, {"usable"}]
    assert engine.n_clips == [32, 32]


def test_a_broken_listing_is_refused_and_leaves_nothing(root, store):
    (root / "metadata" / "eval_segments.csv").write_text("broken\n")
    with pytest.raises(UserError, match=r"eval_segments\.csv:1"):
        open_manifest(tiny_source(root), store)
    assert not [path for path in (store.root / "manifests").iterdir() if path.is_dir()]


# ---- elsewhere ----


def test_a_corpus_at_a_url_is_what_it_is_at_a_path(root, store, tmp_path):
    memory = fsspec.filesystem("memory")
    memory.put(f"{root}/", f"{tmp_path}/there", recursive=True)
    url = f"memory://{tmp_path}/there"
    here, there = (open_manifest(tiny_source(place), store).table for place in (root, url))
    assert there.drop(["path"]) == here.drop(["path"])
    assert all(path.startswith(url) for path in there["path"].to_pylist())
