"""Flipped bits, cuts and losses in every kind of file that a cache keeps: none is silent, none a traceback.

One tiny corpus leaves an entry of every kind, and a vocabulary in a run folder. A try damages one file,
verifies the cache, and reads everything: the values must be those of before, and whoever damaged a file whose
content matters must have been told, by `cache verify` and by the line that says what is made again.
"""

import logging
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tiny import build_tiny_tokenizer, dataset_of, fit_vocabulary

from audiotok.data.corpus.corpus import open_corpus
from audiotok.data.synthetic import Synthetic
from audiotok.disk.checksum import CHECKSUMS
from audiotok.disk.keys import content_key
from audiotok.errors import UserError
from audiotok.inventory import faults_of, table_of, take
from audiotok.kinds import KINDS
from audiotok.loader.cache import ClipCache
from audiotok.store import Store
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.tokens.vocabulary import copy_vocabulary, load_run_vocabulary

pytestmark = pytest.mark.faults
HARMLESS = {CHECKSUMS}  # a flipped bit there may be a blank of the JSON


def source_of(cache: Path) -> Synthetic:
    return Synthetic(n_train_clips=12, n_test_clips=6, clip_seconds=0.5, cache_dir=str(cache), cache="frames")


@dataclass(frozen=True)
class Kept:
    """A cache with everything in it, beside the pristine copy of it."""

    folder: Path

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def restore(self) -> None:
        for name in ("cache", "run"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            shutil.copytree(self.folder / "pristine" / name, self.folder / name)

    def read(self) -> str:
        """Read, and where needed make, everything in the cache; return what identifies the values."""
        store, tokenizer = Store(self.cache), build_tiny_tokenizer()
        corpus = open_corpus(source_of(self.cache), store)
        fit_vocabulary(tokenizer, corpus, store)
        cache = ClipCache(corpus, tokenizer, store, "tokens", recipe=None)
        values = []
        for split, clips in corpus.clips.items():
            values += [[clip.id, clip.labels, clip.digest] for clip in clips]
            for content in ("analysis", "tokens"):
                dataset = dataset_of(corpus, split, tokenizer.features, cache, content=content)
                batch = dataset.__getitems__(range(len(clips)))
                values += [batch[name].numpy().tobytes().hex() for name in sorted(batch)]
        return content_key([[c.id for c in corpus.classes], values, tokenizer.checksum()])

    def read_run(self) -> str:
        tokenizer = build_tiny_tokenizer()
        report = load_run_vocabulary(tokenizer, self.run / "vocabulary").report
        alone = Tokenizer.load(self.run)  # built from what the folder says, too
        return content_key([tokenizer.checksum(), report, alone.checksum(), alone.settings])


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Kept:
    kept = Kept(tmp_path_factory.mktemp("kept"))
    kept.read()
    corpus = open_corpus(source_of(kept.cache), Store(kept.cache))
    kept.run.mkdir()
    copy_vocabulary(
        fit_vocabulary(build_tiny_tokenizer(), corpus, Store(kept.cache)), kept.run / "vocabulary"
    )
    for name in ("cache", "run"):
        shutil.copytree(kept.folder / name, kept.folder / "pristine" / name)
    return kept


def files_by_kind(kept: Kept) -> dict[str, list[Path]]:
    """Return the files of every kind, those of one name and kind together."""
    found: dict[str, list[Path]] = {}
    for top in ("cache", "run"):
        for path in sorted((kept.folder / "pristine" / top).rglob("*")):
            relative = path.relative_to(kept.folder / "pristine")
            if path.is_file() and not path.name.startswith("."):
                name = "*.flac" if path.suffix == ".flac" else path.name
                found.setdefault(f"{relative.parts[1]}/{name}", []).append(kept.folder / relative)
    return found


def flip(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def cut(path: Path, rng: np.random.Generator) -> None:
    os.truncate(path, int(rng.integers(path.stat().st_size)))


def lose(path: Path, rng: np.random.Generator) -> None:
    path.unlink()


def replace_by_folder(path: Path, rng: np.random.Generator) -> None:
    path.unlink()
    path.mkdir()


def replace_by_pipe(path: Path, rng: np.random.Generator) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES = [(flip, 0.7), (cut, 0.2), (lose, 0.04), (replace_by_folder, 0.03), (replace_by_pipe, 0.03)]


def damage(path: Path, rng: np.random.Generator) -> str:
    """Damage a file as a disk would, leaving its time, and return what was done."""
    before = path.stat()
    functions, shares = zip(*DAMAGES, strict=True)
    function = functions[rng.choice(len(DAMAGES), p=shares)]
    function(path, rng)
    if path.exists():
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return function.__name__


def verified(cache: Path) -> list[str]:
    """List and verify a cache as `audiotok cache` does."""
    items = take(Store(cache))
    table_of(items, "Cache")
    return [f"{item.entry.folder}: {fault}" for item in items for fault in faults_of(item)]


def outcome_of(kept: Kept, path: Path, how: str, expected: tuple[str, str], caplog) -> str:
    """Read what was damaged, and say what came of it; fail if that is silent or wrong."""
    if path.is_relative_to(kept.run):
        try:
            assert kept.read_run() == expected[1]
        except UserError:
            return "refused in a sentence"
        return "as before"
    faults = verified(kept.cache)
    entry = kept.cache.joinpath(*path.relative_to(kept.cache).parts[:2])
    named = any(fault.startswith(f"{entry}:") for fault in faults)
    if entry.parent.name == "inspections":  # read only where there is no manifest
        shutil.rmtree(kept.cache / "manifests")
    assert kept.read() == expected[0]
    told = str(entry) in caplog.text
    assert named or path.name in HARMLESS
    assert told or path.name in {*HARMLESS, "rows.npy", "index.npy"}
    assert verified(kept.cache) == []
    return "rebuilt and told" if told else "a row rebuilt, named by verify" if named else "as before"


def test_no_damage_to_kept_files_is_silent(kept, tries, tally, caplog):
    caplog.set_level(logging.WARNING)
    expected = kept.read(), kept.read_run()
    files = files_by_kind(kept)
    assert {name.partition("/")[0] for name in files} == {*KINDS, "vocabulary"}
    assert verified(kept.cache) == []
    outcomes: dict[str, Counter[str]] = {}
    for number in range(tries(1500, least=len(files))):
        rng = np.random.default_rng(number)
        name = sorted(files)[number % len(files)]
        path = files[name][rng.integers(len(files[name]))]
        kept.restore()
        caplog.clear()
        how = damage(path, rng)
        try:
            outcome = outcome_of(kept, path, how, expected, caplog)
        except Exception as error:
            raise AssertionError(f"try {number}: {how} of {path}") from error
        outcomes.setdefault(name.partition("/")[0], Counter())[f"{outcome}"] += 1
    for kind, counted in outcomes.items():
        tally(f"damage: files of {kind}", counted)
    assert sum(map(Counter.total, outcomes.values())) >= len(files)
