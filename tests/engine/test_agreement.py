"""What engines make of a corpus: the same bytes, whoever makes it and however often it was stopped."""

import pytest
from tiny import tiny_source

from audiotok.data import manifest
from audiotok.data.manifest import open_manifest
from audiotok.engine.local import Local
from audiotok.errors import UserError
from audiotok.store import Store


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Let four clips make a part, so that a tiny corpus has several."""
    monkeypatch.setattr(manifest, "PART_CLIPS", 4)


@pytest.fixture(scope="module")
def source(tiny_audioset):
    return tiny_source(tiny_audioset)


@pytest.fixture(scope="module")
def expected(source, tmp_path_factory):
    """The manifest that one process makes of all clips as one part."""
    return open_manifest(source, Store(tmp_path_factory.mktemp("expected")), Local(1))


def test_the_manifest_is_the_same(engine, source, expected, tmp_path):
    made = open_manifest(source, Store(tmp_path), engine)
    assert len(list((tmp_path / "inspections").glob("*/"))) > 3
    assert made.table.equals(expected.table)
    assert (made.classes, made.findings) == (expected.classes, expected.findings)


def fail(part):
    raise OSError("the disk is out of reach")


def test_a_manifest_of_which_a_part_failed_is_not_there(source, expected, tmp_path, monkeypatch):
    inspect_part, failing = manifest.inspect_part, []

    def fail_once_chosen(part):
        failing.append(part.key) if not failing else None
        return fail(part) if part.key == failing[0] else inspect_part(part)

    monkeypatch.setattr(manifest, "inspect_part", fail_once_chosen)
    with pytest.raises(UserError, match=r"1 of \d+ parts failed, .*the disk is out of reach.*only these are"):
        open_manifest(source, Store(tmp_path), Local(1))
    assert not list((tmp_path / "manifests").glob("[!.]*/"))
    monkeypatch.setattr(manifest, "inspect_part", inspect_part)
    assert open_manifest(source, Store(tmp_path), Local(1)).table.equals(expected.table)
