"""The progress record of `predict --to` and `tokens --to`: a cut costs the last sound, and damage is told.

A cut is what a kill leaves: the sounds before it are kept, and the one in work is done again. A flipped bit,
a line that is missing or another file in its place is refused in one sentence, and nothing is replaced.
"""

import random
from collections import Counter
from pathlib import Path

import pytest
from limits_of_tries import one_sentence, within_seconds

from audiotok.errors import UserError
from audiotok.prediction.record import Record

pytestmark = pytest.mark.faults
FULL = 200  # tries of each kind
SETTINGS = {"run": "0123456789abcdef", "window": 1.0, "overlap": 0.0, "threshold": None}


def result(number: int) -> dict[str, object]:
    return {"file": f"{number} ü.wav", "seconds": 2.0, "detections": [{"id": "a", "score": 0.5}] * number}


@pytest.fixture
def record(tmp_path) -> Record:
    """Four sounds that are done."""
    record = Record.open(tmp_path / "found.csv", SETTINGS)
    for number in range(4):
        record.add(tmp_path / f"{number}.wav", result(number))
    return record


def resumed(record: Record) -> tuple[str, int]:
    """Go on with the record; say what came of it, and how many sounds are done."""
    try:
        with within_seconds(10):
            again = Record.open(record.to, SETTINGS)
            found = list(again)
    except UserError as error:
        return ("refused in one sentence" if one_sentence(error) else f"refused with {error}"), 0
    assert [{**one, "path": None} for one in found] == [
        {"path": None, **result(number)} for number in range(len(found))
    ]
    assert len(again.done) == len(found)
    return "goes on", len(found)


def test_a_record_that_a_kill_has_cut_goes_on_with_what_is_whole(record, tmp_path, tries, tally):
    content, outcomes = record.path.read_bytes(), Counter()
    chance = random.Random(0)
    places = [0, len(content), *(chance.randrange(len(content)) for _ in range(tries(FULL, least=20)))]
    for place in places:
        record.path.write_bytes(content[:place])
        outcome, n_done = resumed(record)
        n_whole = content[:place].count(b"\n") - 1  # without the settings
        assert (outcome, n_done) == ("goes on", max(0, n_whole)), place
        for number in range(n_done, 4):
            Record.open(record.to, SETTINGS).add(tmp_path / f"{number}.wav", result(number))
        assert record.path.read_bytes() == content, place
        outcomes[outcome] += 1
    tally("cut progress of predict", outcomes)


def test_a_damaged_record_is_refused(record, tries, tally):
    content, outcomes = record.path.read_bytes(), Counter()
    last = content.rstrip().rfind(b"\n")
    for seed in range(tries(FULL, least=30)):
        chance, damaged = random.Random(seed), bytearray(content)
        if seed % 3 == 0:
            damaged[chance.randrange(last)] ^= 1 << chance.randrange(8)
        elif seed % 3 == 1:
            start = chance.randrange(last - 50)
            damaged[start : start + 40] = bytes(40)
        else:
            del damaged[: content.index(b"\n") + 1]  # the settings
        record.path.write_bytes(damaged)
        outcome, n_done = resumed(record)
        assert outcome == "refused in one sentence", (seed, n_done)
        assert record.path.read_bytes() == damaged, seed
        outcomes[outcome] += 1
    tally("damaged progress of predict", outcomes)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\n", b"[1]\n", b"path,labels\n", b"0" * 10**6 + b"\n"])
def test_another_file_in_its_place_is_refused_and_stays(record, content):
    record.path.write_bytes(content)
    assert resumed(record)[0] == "refused in one sentence"
    assert Path(record.path).read_bytes() == content
