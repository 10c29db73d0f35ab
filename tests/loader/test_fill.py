"""Mel frames and tokens that are kept ahead of training: what becomes of parts. By engines: tests/engine."""

import numpy as np
import pytest
from tiny import build_tiny_tokenizer, fit_vocabulary

from audiotok.engine.local import Local
from audiotok.errors import UserError
from audiotok.loader import fill
from audiotok.loader.fill import fill_analysis, fill_tokens
from audiotok.loader.rows import Rows
from audiotok.store import Store


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Let four clips make a part, so that a tiny corpus has several."""
    monkeypatch.setattr(fill, "PART_CLIPS", 4)


@pytest.fixture(scope="module")
def tokenizer(tiny_corpus, tmp_path_factory):
    tokenizer = build_tiny_tokenizer("product")
    return fit_vocabulary(tokenizer, tiny_corpus, Store(tmp_path_factory.mktemp("centroids"))).tokenizer


class Stopping(Local):
    """An engine that is stopped after some parts, and says which rows it has made."""

    def __init__(self, n_parts=None):
        super().__init__(n_workers=1)
        self.n_parts, self.rows = n_parts, []

    def map(self, function, parts):
        for part, values in super().map(function, parts[: self.n_parts]):
            self.rows += part.rows.tolist()
            yield part, values
        if self.n_parts is not None:
            raise KeyboardInterrupt


def test_what_was_stopped_goes_on_where_it_was(tiny_corpus, tokenizer, tmp_path):
    stopped, rest, nothing = Stopping(2), Stopping(), Stopping()
    with pytest.raises(KeyboardInterrupt):
        fill_tokens(tiny_corpus, tokenizer, Store(tmp_path), stopped)
    kept = fill_tokens(tiny_corpus, tokenizer, Store(tmp_path), rest)
    assert len(stopped.rows) == 8
    assert sorted(stopped.rows + rest.rows) == list(range(len(kept.rows)))
    assert (kept.rows.lengths() > 0).all()
    fill_tokens(tiny_corpus, tokenizer, Store(tmp_path), nothing)
    assert nothing.rows == []


def test_too_small_a_disk_is_told_before_anything_is_made(tiny_corpus, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "free_bytes", lambda _: 1000)
    engine = Stopping()
    with pytest.raises(UserError, match=r"has less than the .* free that the tokens of 32 clips need"):
        fill_tokens(tiny_corpus, tokenizer, Store(tmp_path), engine)
    assert engine.rows == []


def test_a_disk_that_fills_up_is_told(tiny_corpus, tokenizer, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Rows, "write", refuse)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
        fill_tokens(tiny_corpus, tokenizer, Store(tmp_path), Local(1))


def test_parts_hold_every_clip_once_and_no_other(tiny_corpus, tokenizer, tmp_path):
    kept = fill.TokenRows(tiny_corpus, tokenizer, Store(tmp_path))
    kept.open()
    parts = list(fill._parts(kept, tiny_corpus))
    assert max(len(part.rows) for part in parts) == 4
    for part in parts:
        assert np.array_equal(kept.digests[part.rows], part.clips.digests[part.order])
    assert sorted(row for part in parts for row in part.rows) == list(range(32))


def test_clips_whose_mel_frames_are_kept_are_not_read_again(tiny_corpus, tokenizer, tmp_path):
    some, others = Stopping(2), Stopping()
    with pytest.raises(KeyboardInterrupt):
        fill_analysis(tiny_corpus, tokenizer.features, Store(tmp_path / "a"), some)
    kept = fill_tokens(tiny_corpus, tokenizer, Store(tmp_path / "a"), others)
    assert len(some.rows) == 8
    assert len(others.rows) == len(kept.rows) - 8
    from_audio = fill_tokens(tiny_corpus, tokenizer, Store(tmp_path / "b"), Local(1))
    rows = np.arange(len(kept.rows))
    for found, expected in zip(kept.rows.read(rows), from_audio.rows.read(rows), strict=True):
        assert np.array_equal(found, expected)
