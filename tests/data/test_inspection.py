import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny import file_at

from audiotok.data.clip import Location
from audiotok.data.inspection import Condition, inspect
from audiotok.data.layout.folders import Folders
from audiotok.data.limits import Limits
from audiotok.errors import UserError
from audiotok.store import Store

RATE = 8000
LIMITS = Limits(min_seconds=0.5, max_seconds=5.0, silence_db=-80.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read."""
    names: list[str] = []
    read = Folders.read

    def noted(location: Location):
        names.append(Path(location.path).name)
        return read(Folders(), location)

    monkeypatch.setattr(Folders, "read", lambda self, location: noted(location))
    return names


def noise(seconds: float, n_channels: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((round(seconds * RATE), n_channels))


def write(path: Path, wave: np.ndarray, **kind: str) -> Path:
    soundfile.write(path, wave, RATE, **kind)
    return path


def cut(path: Path, n_bytes: int) -> Path:
    """Keep the first bytes of a file; a negative number takes as many off its end."""
    path.write_bytes(path.read_bytes()[:n_bytes])
    return path


def look(paths: list[Path | None], store: Store) -> list[Condition]:
    """Inspect files."""
    return inspect([path and file_at(path) for path in paths], store)


def condition_of(path: Path | None, store: Store) -> Condition:
    [condition] = look([path], store)
    return condition


def verdict(path: Path | None, store: Store) -> str:
    return condition_of(path, store).reason_to_skip(LIMITS)[0]


# ---- what is found in a file ----


def test_usable_file_is_described(tmp_path, store):
    wave = noise(1.5)
    path = write(tmp_path / "a.wav", wave, subtype="FLOAT")
    condition = condition_of(path, store)
    assert condition.fault == ""
    assert condition.seconds == 1.5
    assert condition.peak == pytest.approx(np.abs(wave).max(), rel=1e-6)
    assert len(condition.digest) == 16
    assert condition.reason_to_skip(LIMITS) == ("", "")


def test_clip_without_a_file_is_missing(tmp_path, store):
    assert verdict(None, store) == "missing"
    assert verdict(tmp_path / "none.wav", store) == "missing"
    assert verdict(tmp_path, store) == "missing"


def test_file_of_no_bytes_is_empty(tmp_path, store):
    (tmp_path / "a.wav").touch()
    assert verdict(tmp_path / "a.wav", store) == "empty"


def test_file_of_no_samples_is_skipped(tmp_path, store):
    assert verdict(write(tmp_path / "a.wav", noise(0)), store) in {"empty", "short"}


def test_text_named_wav_is_broken_and_the_decoder_is_quoted(tmp_path, store):
    (tmp_path / "a.wav").write_text("404 not found\n")
    kind, detail = condition_of(tmp_path / "a.wav", store).reason_to_skip(LIMITS)
    assert kind == "broken"
    assert "Format not recognised" in detail


@pytest.mark.parametrize("extension", ["flac", "mp3", "ogg"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_file_that_breaks_off_is_broken(tmp_path, store, extension, share):
    path = write(tmp_path / f"a.{extension}", noise(4.0))
    cut(path, int(share * path.stat().st_size))
    assert verdict(path, store) == "broken"


def test_wav_that_breaks_off_is_broken(tmp_path, store):
    assert verdict(cut(write(tmp_path / "a.wav", noise(4.0)), 40_000), store) == "broken"


def test_wav_of_a_stream_whose_header_gives_no_length_is_usable(tmp_path, store):
    path = write(tmp_path / "a.wav", noise(1.0))
    header, samples = path.read_bytes()[:44], path.read_bytes()[44:]
    unknown = b"\xff\xff\xff\xff"
    path.write_bytes(header[:4] + unknown + header[8:40] + unknown + samples)
    assert condition_of(path, store).seconds == 1.0
    assert verdict(path, store) == ""


@pytest.mark.parametrize("n_bytes", [1, 100, 2000])
@pytest.mark.parametrize("kind", [{}, {"format": "OGG", "subtype": "OPUS"}], ids=["vorbis", "opus"])
def test_ogg_that_breaks_off_within_its_last_page_is_broken(tmp_path, store, n_bytes, kind):
    assert verdict(cut(write(tmp_path / "a.ogg", noise(4.0), **kind), -n_bytes), store) == "broken"


@pytest.mark.parametrize("name", ["a.OGG", "a.oga"])
def test_ogg_that_breaks_off_is_broken_whatever_it_is_called(tmp_path, store, name):
    path = write(tmp_path / "a.ogg", noise(4.0)).rename(tmp_path / name)
    assert verdict(cut(path, path.stat().st_size // 2), store) == "broken"


@pytest.mark.parametrize("kind", [{}, {"format": "OGG", "subtype": "OPUS"}], ids=["vorbis", "opus"])
def test_complete_ogg_is_usable(tmp_path, store, kind):
    assert verdict(write(tmp_path / "a.ogg", noise(4.0), **kind), store) == ""


def test_silent_file_is_silent(tmp_path, store):
    assert verdict(write(tmp_path / "a.wav", np.zeros(RATE)), store) == "silent"


def test_silence_is_judged_by_the_loudest_sample(tmp_path, store):
    wave = np.zeros(RATE)
    wave[100] = -1.1e-4  # -79.2 dB
    assert verdict(write(tmp_path / "a.wav", wave, subtype="FLOAT"), store) == ""
    wave[100] = -0.9e-4  # -80.9 dB
    assert verdict(write(tmp_path / "b.wav", wave, subtype="FLOAT"), store) == "silent"


def test_samples_that_are_not_finite_are_broken(tmp_path, store):
    for name, value in (("nan.wav", np.nan), ("inf.wav", np.inf)):
        wave = noise(1.0)
        wave[7] = value
        assert verdict(write(tmp_path / name, wave, subtype="FLOAT"), store) == "broken"


def test_length_is_judged_against_the_limits(tmp_path, store):
    lengths = {"short": 0.49, "": 0.5, "long": 5.1}
    for kind, seconds in lengths.items():
        assert verdict(write(tmp_path / f"{seconds}.wav", noise(seconds)), store) == kind
    assert verdict(write(tmp_path / "edge.wav", noise(5.0)), store) == ""


def test_8_bit_wav_is_usable(tmp_path, store):
    assert verdict(write(tmp_path / "a.wav", noise(1.0), subtype="PCM_U8"), store) == ""


def test_silent_8_bit_wav_is_silent(tmp_path, store):
    assert verdict(write(tmp_path / "a.wav", np.zeros(RATE), subtype="PCM_U8"), store) == "silent"


def test_stereo_is_judged_by_what_is_read_of_it(tmp_path, store):
    stereo = noise(1.0, 2)
    condition = condition_of(write(tmp_path / "a.wav", stereo, subtype="FLOAT"), store)
    assert condition.fault == ""
    assert condition.seconds == 1.0
    assert condition.peak == pytest.approx(np.abs(stereo.mean(axis=1)).max(), rel=1e-5)
    opposed = np.stack([stereo[:, 0], -stereo[:, 0]], axis=1)
    assert verdict(write(tmp_path / "b.wav", opposed, subtype="FLOAT"), store) == "silent"


# ---- results are kept ----


def test_conditions_come_in_the_order_of_the_paths(tmp_path, store):
    paths = [write(tmp_path / f"{n}.wav", noise(n / 10)) for n in (9, 3, 6)]
    conditions = look([paths[0], None, *paths[1:]], store)
    assert [(c.fault, round(c.seconds, 1)) for c in conditions] == [
        ("", 0.9),
        ("missing", 0),
        ("", 0.3),
        ("", 0.6),
    ]


def test_no_paths_give_no_conditions(store):
    assert look([], store) == []


def test_second_look_decodes_nothing_and_says_the_same(tmp_path, store, opened):
    (tmp_path / "text.wav").write_text('a "quoted", line\n')
    paths = [write(tmp_path / "a.wav", noise(1.0)), tmp_path / "text.wav", None]
    first = look(paths, store)
    assert sorted(opened) == ["a.wav", "text.wav"]
    assert look(paths, store) == first
    assert len(opened) == 2


def test_copy_of_the_corpus_elsewhere_is_not_decoded_again(tmp_path, store, opened):
    (tmp_path / "here").mkdir()
    first = look([write(tmp_path / "here" / "a.wav", noise(1.0))], store)
    shutil.copytree(tmp_path / "here", tmp_path / "there")  # keeps the time of modification
    assert look([tmp_path / "there" / "a.wav"], store) == first
    assert opened == ["a.wav"]


def test_changed_file_is_looked_at_again(tmp_path, store):
    path = write(tmp_path / "a.wav", noise(1.0))
    assert condition_of(path, store).seconds == 1.0
    write(path, noise(2.0))
    assert condition_of(path, store).seconds == 2.0


def test_file_of_new_content_and_old_size_is_looked_at_again(tmp_path, store):
    path = write(tmp_path / "a.wav", noise(1.0))
    assert verdict(path, store) == ""
    before = path.stat().st_mtime_ns
    write(path, np.zeros(RATE))
    os.utime(path, ns=(before + 1_000_000, before + 1_000_000))
    assert verdict(path, store) == "silent"


def test_file_that_turns_up_later_is_looked_at(tmp_path, store):
    assert verdict(tmp_path / "a.wav", store) == "missing"
    write(tmp_path / "a.wav", noise(1.0))
    assert verdict(tmp_path / "a.wav", store) == ""


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b"\xff\xfe\x00"), id="bytes"),
        pytest.param(lambda path: path.write_text(""), id="empty"),
        pytest.param(lambda path: path.write_text(path.read_text().replace("1.0", "one")), id="no number"),
        pytest.param(lambda path: path.write_text(path.read_text().splitlines()[0]), id="a row too few"),
        pytest.param(lambda path: path.write_text(path.read_text().replace("peak", "peek")), id="no column"),
        pytest.param(lambda path: path.unlink(), id="gone"),
    ],
)
def test_corrupt_result_is_made_again(tmp_path, store, opened, caplog, damage):
    path = write(tmp_path / "a.wav", noise(1.0))
    first = look([path], store)
    [kept] = store.root.glob("inspections/*/conditions.csv")
    damage(kept)
    assert look([path], store) == first
    assert opened == ["a.wav", "a.wav"]
    assert "made again" in caplog.text
    with kept.open(newline="") as file:
        assert [row["seconds"] for row in csv.DictReader(file)] == ["1.0"]


# ---- limits ----


@pytest.mark.parametrize(("shortest", "longest"), [(-1.0, 5.0), (5.0, 5.0), (6.0, 5.0)])
def test_limits_in_the_wrong_order_are_refused(shortest, longest):
    with pytest.raises(UserError, match=rf"data\.limits\.min_seconds={shortest} .*max_seconds={longest}"):
        Limits(shortest, longest, -80.0)


def test_reason_gives_the_length_or_the_peak():
    assert Condition(seconds=0.25, peak=0.5).reason_to_skip(LIMITS) == ("short", "0.25 s")
    assert Condition(seconds=9.5, peak=0.5).reason_to_skip(LIMITS) == ("long", "9.50 s")
    assert Condition(seconds=1.0, peak=1.5e-6).reason_to_skip(LIMITS) == ("silent", "peak 1.5e-06")
