"""Damaged containers of clips: each is refused in one sentence, or its clips are listed and read or named.

Nothing else may be raised, no try may take more than ten seconds or ask the network for anything.
"""

import random
from collections import Counter
from pathlib import Path

import pytest
from layouts import WRITERS
from limits_of_tries import one_sentence, within_seconds, without_network
from tiny import tiny_source

from audiotok.data.audio import UnreadableError
from audiotok.data.clip import Listing
from audiotok.data.layout.layout import layout_named, sound_of
from audiotok.data.layout.segments import CLASS_TABLE
from audiotok.errors import UserError

pytestmark = pytest.mark.faults
FULL = 700  # tries over all kinds of container
IDS = {"bal_train": [f"b{n:010d}" for n in range(4)], "eval": [f"e{n:010d}" for n in range(2)]}
FILES = {
    "parquet": "data/bal_train/00.parquet",
    "tar": "bal_train00.tar",
    "webdataset": "bal_train/000000.tar",
    "hdf5": "balanced_train.h5",
    "hdf5_mp3": "bal_train_segments_mp3.hdf",
    "ast_json": "balanced_train_data.json",
}


def flip(content: bytearray, chance: random.Random) -> None:
    """Change up to eight bytes."""
    for _ in range(chance.randint(1, 8)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def flip_ends(content: bytearray, chance: random.Random) -> None:
    """Change up to four bytes of the first or the last 600, where headers and footers are."""
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(min(600, len(content)))
        content[chance.choice([place, -1 - place])] = chance.randrange(256)


def cut(content: bytearray, chance: random.Random) -> None:
    """Keep the beginning."""
    del content[chance.randrange(len(content)) :]


def take_out(content: bytearray, chance: random.Random) -> None:
    """Leave a stretch out."""
    start = chance.randrange(len(content))
    del content[start : start + chance.randint(1, 2000)]


def blank(content: bytearray, chance: random.Random) -> None:
    """Replace a stretch by zeros, as a disk does for a block that was never written."""
    start = chance.randrange(len(content))
    end = min(len(content), start + chance.randint(1, 4096))
    content[start:end] = bytes(end - start)


def repeat(content: bytearray, chance: random.Random) -> None:
    """Write a stretch twice."""
    start = chance.randrange(len(content))
    content[start:start] = content[start : start + 2000]


def boast(content: bytearray, chance: random.Random) -> None:
    """Write an enormous or a negative number over eight bytes of a header."""
    number = chance.choice(
        [b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\xff" * 7 + b"\x7f", b"77777777", b"\x80" + bytes(7)]
    )
    place = chance.randrange(0, max(1, min(700, len(content) - 8)))
    content[place : place + 8] = number


OUTCOMES = {
    "refused in one sentence",
    "clips named as unreadable",
    "listed as before",
    "listed with what is left",
}
DAMAGES = (flip, flip_ends, cut, take_out, blank, repeat, boast)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory, tiny_audioset: Path) -> dict[str, Path]:
    """A corpus of six clips for each kind of container; with tables of segments where it has no labels."""
    files = sorted(path for path in (tiny_audioset / "audio").rglob("*.wav"))[:6]
    corpora = {}
    for kind in FILES:
        root = tmp_path_factory.mktemp(kind)
        (root / "metadata").mkdir()
        (root / "metadata" / CLASS_TABLE).write_text("index,mid,display_name\n0,/m/0a,A\n1,/m/0b,B\n")
        taken = iter(files)
        for name, ids in IDS.items():
            WRITERS[kind](root / "audio", name, [(id_, ("/m/0a", "/m/0b"), next(taken)) for id_ in ids])
        if kind in {"tar", "hdf5", "hdf5_mp3"}:
            for name, table in (("bal_train", "balanced_train"), ("eval", "eval")):
                rows = "".join(f'{id_}, 30.000, 31.000, "/m/0a,/m/0b"\n' for id_ in IDS[name])
                (root / "metadata" / f"{table}_segments.csv").write_text(rows)
        corpora[kind] = root
    return corpora


def outcome_of(root: Path, expected: Listing | None) -> str:
    """Read a corpus and all its clips: say what came of it."""
    layout_named.cache_clear()  # containers stay open
    try:
        listing = tiny_source(root).read()
    except UserError as error:
        return "refused in one sentence" if one_sentence(error) else f"refused with {error}"
    n_unreadable = 0
    for clip in listing.clips:
        try:
            if clip.location is not None:
                sound_of(clip.location)
        except UnreadableError:
            n_unreadable += 1
    if n_unreadable:
        return "clips named as unreadable"
    return "listed as before" if listing == expected else "listed with what is left"


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_container_is_refused_or_its_clips_are_named(kind, corpora, tries, tally):
    root = corpora[kind]
    path = root / "audio" / FILES[kind]
    whole = path.read_bytes()
    expected = tiny_source(root).read()
    assert sum(clip.location is not None for clip in expected.clips) == 6
    outcomes: Counter[str] = Counter()
    try:
        for seed in range(tries(FULL // len(FILES), least=8)):
            chance = random.Random(f"{kind} {seed}")
            content, damage = bytearray(whole), chance.choice(DAMAGES)
            damage(content, chance)
            path.write_bytes(content)
            with within_seconds(10), without_network():
                try:
                    outcomes[outcome_of(root, expected)] += 1
                except Exception as error:
                    raise AssertionError(f"{kind}, seed {seed}, {damage.__name__}: {error!r}") from error
    finally:
        path.write_bytes(whole)
    tally(f"damaged {kind}", outcomes)
    assert set(outcomes) <= OUTCOMES
