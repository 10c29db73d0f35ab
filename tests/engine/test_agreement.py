"""What engines make of a corpus: the same bytes, whoever makes it."""

import numpy as np
import pytest
from tiny import build_tiny_tokenizer, dataset_of, fit_vocabulary, tiny_source

from audiotok.data.corpus import conditions, parts
from audiotok.data.corpus.manifest import update_manifest
from audiotok.engine.local import Local
from audiotok.errors import UserError
from audiotok.loader import fill
from audiotok.loader.fill import fill_analysis, fill_tokens
from audiotok.store import Store


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Let four clips make a part, so that a tiny corpus has several."""
    monkeypatch.setattr(parts, "PART_CLIPS", 4)
    monkeypatch.setattr(fill, "PART_CLIPS", 4)


@pytest.fixture(scope="module")
def source(tiny_audioset):
    return tiny_source(tiny_audioset)


@pytest.fixture(scope="module")
def expected(source, tmp_path_factory):
    """The manifest that one process makes of all clips as one part."""
    return update_manifest(source, Store(tmp_path_factory.mktemp("expected")), Local(1))


def test_the_manifest_is_the_same(engine, source, expected, tmp_path):
    made = update_manifest(source, Store(tmp_path), engine)
    assert len(list((tmp_path / "inspections").glob("*/"))) > 3
    assert made.table.equals(expected.table)
    assert (made.classes, made.findings) == (expected.classes, expected.findings)


def fail(part):
    raise OSError("the disk is out of reach")


def test_a_manifest_of_which_a_part_failed_is_not_there(source, expected, tmp_path, monkeypatch):
    inspect_part, failing = conditions.inspect_part, []

    def fail_once_chosen(check, longest, part):
        failing.append(part.key) if not failing else None
        return fail(part) if part.key == failing[0] else inspect_part(check, longest, part)

    monkeypatch.setattr(conditions, "inspect_part", fail_once_chosen)
    with pytest.raises(
        UserError, match=r"1 of \d+ parts failed, .*the disk is out of reach.*run the same command again"
    ):
        update_manifest(source, Store(tmp_path), Local(1))
    assert not list((tmp_path / "manifests").glob("[!.]*/"))
    monkeypatch.setattr(conditions, "inspect_part", inspect_part)
    assert update_manifest(source, Store(tmp_path), Local(1)).table.equals(expected.table)


@pytest.fixture(scope="module")
def tokenizer(tiny_corpus, tmp_path_factory):
    tokenizer = build_tiny_tokenizer("product")
    return fit_vocabulary(tokenizer, tiny_corpus, Store(tmp_path_factory.mktemp("centroids"))).tokenizer


@pytest.mark.parametrize("kind", ["frames", "tokens"])
def test_what_is_cached_is_what_training_would_keep(engine, tiny_corpus, tokenizer, tmp_path, kind):
    if kind == "frames":
        kept = fill_analysis(tiny_corpus, tokenizer.features, Store(tmp_path), engine)
    else:
        kept = fill_tokens(tiny_corpus, tokenizer, Store(tmp_path), engine)
    values, lengths = kept.rows.read(np.arange(len(kept.rows)))
    assert (lengths > 0).all()
    for split, clips in tiny_corpus.clips.items():
        dataset = dataset_of(tiny_corpus, split, tokenizer.features)
        batch = dataset.__getitems__(range(len(dataset)))
        made = batch["analysis"], batch["n_slices"]
        if kind == "tokens":
            made = tokenizer.tokens(*made)
        rows = kept.rows_of(clips.digests)
        assert np.array_equal(values[rows], made[0].numpy())
        assert np.array_equal(lengths[rows], made[1].numpy())
