"""Every clip that exists is inspected in one part, and clips of a container in the order of their places."""

from pathlib import Path

import numpy as np
import pytest
from tiny import path_of, tiny_source

from audiotok.data.clip import Clip, Location
from audiotok.data.corpus.catalogue import table_of
from audiotok.data.corpus.conditions import CONDITIONS, groups_of, inspect_part
from audiotok.data.corpus.parts import Part


def clip(id_: str, path: Path, entry: str = "") -> Clip:
    return Clip(id_, Location("folders", str(path), entry), (), "train")


def parts_of(clips: list[Clip]) -> list[Part]:
    listed = table_of(clips)
    return [Part.of(listed, rows, rows, key) for key, rows in groups_of(clips, listed, "decode")]


def locations_of(part: Part) -> list[Location | None]:
    return [part.clips[place].location for place in part.order]


@pytest.mark.parametrize("n_clips", [0, 1, 3, 4, 17, 64])
@pytest.mark.usefixtures("small_parts")
def test_every_clip_that_exists_is_in_one_part(tmp_path, n_clips):
    clips = [clip(f"clip{n}", tmp_path / f"{n}.wav") for n in range(n_clips)]
    for each in clips:
        path_of(each).touch()
    parts = parts_of([*clips, clip("gone", tmp_path / "gone.wav"), Clip("none", None, (), "val")])
    assert sorted(row for part in parts for row in part.rows) == list(range(n_clips))
    for part in parts:
        assert [clips[row].location for row in part.rows] == locations_of(part)
    assert len({part.key for part in parts}) == len(parts)


@pytest.mark.usefixtures("small_parts")
def test_clips_in_a_container_are_inspected_in_the_order_of_their_places(tmp_path):
    for name in ("a.tar", "b.tar"):
        (tmp_path / name).touch()
    rng = np.random.default_rng(0)
    offsets = rng.permutation(np.arange(10) * 512).tolist()
    clips = [clip(f"clip{n}", tmp_path / f"{'ab'[n % 2]}.tar", f"{offsets[n]}+500") for n in range(10)]
    parts = parts_of(clips)
    assert [len(part) for part in parts] == [4, 1, 4, 1]
    for container in (parts[:2], parts[2:]):
        locations = [location for part in container for location in locations_of(part)]
        assert len({location.path for location in locations}) == 1
        found = [int(location.entry.partition("+")[0]) for location in locations]
        assert found == sorted(found)


def test_a_part_has_a_condition_for_each_clip(tiny_audioset):
    [part] = parts_of(sorted(tiny_source(tiny_audioset).read().clips, key=lambda clip: clip.id.encode()))
    table = inspect_part("decode", 60.0, part)
    assert table.schema == CONDITIONS
    assert len(table) == len(part) == 32
    assert table == inspect_part("decode", 60.0, part)
