"""Every clip that is there is inspected in one part, and clips of a container as they lie."""

from pathlib import Path

import numpy as np
import pytest
from tiny import path_of, tiny_source

from audiotok.data.clip import Clip, Location
from audiotok.data.corpus.parts import CONDITIONS, inspect_part, parts_of


def clip(id_: str, path: Path, entry: str = "") -> Clip:
    return Clip(id_, Location("folders", str(path), entry), (), "train")


@pytest.mark.parametrize("n_clips", [0, 1, 3, 4, 17, 64])
@pytest.mark.usefixtures("small_parts")
def test_every_clip_that_is_there_is_in_one_part(tmp_path, n_clips):
    clips = [clip(f"clip{n}", tmp_path / f"{n}.wav") for n in range(n_clips)]
    for each in clips:
        path_of(each).touch()
    parts = parts_of([*clips, clip("gone", tmp_path / "gone.wav"), Clip("none", None, (), "val")], "decode")
    placed = [row for _, rows in parts for row in rows]
    assert sorted(placed) == list(range(n_clips))
    for part, rows in parts:
        assert [clips[row].location for row in rows] == list(part.locations)
    assert len({part.key for part, _ in parts}) == len(parts)


@pytest.mark.usefixtures("small_parts")
def test_places_in_a_container_are_inspected_as_they_lie(tmp_path):
    for name in ("a.tar", "b.tar"):
        (tmp_path / name).touch()
    rng = np.random.default_rng(0)
    offsets = rng.permutation(np.arange(10) * 512).tolist()
    clips = [clip(f"clip{n}", tmp_path / f"{'ab'[n % 2]}.tar", f"{offsets[n]}+500") for n in range(10)]
    parts = [part for part, _ in parts_of(clips, "decode")]
    assert [len(part.locations) for part in parts] == [4, 1, 4, 1]
    for container in (parts[:2], parts[2:]):
        locations = [location for part in container for location in part.locations]
        assert len({location.path for location in locations}) == 1
        found = [int(location.entry.partition("+")[0]) for location in locations]
        assert found == sorted(found)


def test_a_part_says_what_its_clips_are_like(tiny_audioset):
    clips = tiny_source(tiny_audioset).read().clips
    [(part, rows)] = parts_of(clips, "decode")
    table = inspect_part(part)
    assert table.schema == CONDITIONS
    assert len(table) == len(rows) == 32
    assert table == inspect_part(part)
