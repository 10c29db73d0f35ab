"""A tokenizer by itself: fitted, saved, loaded, and read without trust."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny import CLUSTERINGS, SAMPLE_RATE, path_of, tones

from audiotok import Tokenizer
from audiotok.clustering.product import Product
from audiotok.disk.checksum import write_checksums
from audiotok.errors import UserError
from audiotok.features.features import Features
from audiotok.features.logmel import LogMel
from audiotok.run.folder import RunFolder
from audiotok.tokens.sidecar import FORMAT, SIDECAR, folder_of

SCALES = {"context": [3, 5], "n_components": [4, 4], "bands": [1, 2]}


@pytest.fixture(scope="module")
def fitted(tiny_tokenizer, tiny_corpus) -> Tokenizer:
    files = [path_of(clip) for clip in tiny_corpus.clips["train"]]
    return tiny_tokenizer("product", features={"range_db": 60}).fit(files, clip_seconds=1.0)


@pytest.fixture
def saved(fitted, tmp_path) -> Path:
    fitted.save(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def changed(folder: Path, **changes) -> Path:
    """Change what a folder says of itself, as somebody would who wants it to be believed."""
    about = json.loads((folder / SIDECAR).read_text())
    (folder / SIDECAR).write_text(json.dumps({**about, **changes}))
    write_checksums(folder)
    return folder


@pytest.mark.parametrize("clustering", CLUSTERINGS)
def test_what_is_saved_is_loaded(tiny_tokenizer, tiny_corpus, tmp_path, clustering):
    files = [path_of(clip) for clip in tiny_corpus.clips["train"]]
    made = tiny_tokenizer(clustering, n_frames=300, features=SCALES)
    made.fit(files, clip_seconds=1.0).save(tmp_path / "tokenizer")
    found = Tokenizer.load(tmp_path / "tokenizer")
    assert (found.settings, found.sampling, found.clip_seconds) == (made.settings, made.sampling, 1.0)
    assert (found.key, found.report, found.checksum()) == (made.key, made.report, made.checksum())
    assert (found.features.node, found.codebooks.node) == (made.features.node, made.codebooks.node)
    assert torch.equal(found.encode(files[0]), made.encode(files[0]))


def test_the_vocabulary_of_a_run_is_such_a_folder(plain_run):
    folder, _ = plain_run
    assert folder_of(folder) == RunFolder(folder).vocabulary
    found = Tokenizer.load(folder)
    assert found.clip_seconds == 1.0
    assert found.features.node == {"_target_": "audiotok.features.logmel.LogMel", **logmel_of(folder)}


def logmel_of(run: Path) -> dict:
    return {key: value for key, value in RunFolder(run).read_config()["features"].items() if key[0] != "_"}


def test_a_file_an_array_and_a_list_have_the_same_tokens(saved, tmp_path):
    tokenizer = Tokenizer.load(saved)
    wave = tones([800.0], np.random.default_rng(0))
    soundfile.write(tmp_path / "a.wav", wave, SAMPLE_RATE, subtype="FLOAT")
    expected, n_tokens = tokenizer(torch.from_numpy(wave)[None], torch.tensor([SAMPLE_RATE]))
    found = tokenizer.encode(tmp_path / "a.wav")
    assert torch.equal(found, expected[0, : int(n_tokens)])
    assert found.shape == (32, 4)
    assert found.dtype == torch.int64
    for one in tokenizer.encode([wave, torch.from_numpy(wave)], SAMPLE_RATE):
        assert torch.equal(one, found)
    assert torch.equal(tokenizer.decode(found), tokenizer.codebooks.decode(found))
    with pytest.raises(UserError, match="give sample_rate="):
        tokenizer.encode(wave)


@pytest.mark.parametrize("n_samples", [700, 8000, 8001, 20000])
def test_a_long_sound_is_its_clips_one_after_the_other(fitted, n_samples):
    wave = tones([800.0], np.random.default_rng(0), seconds=3.0)[:n_samples]
    parts = [wave[start : start + SAMPLE_RATE] for start in range(0, n_samples, SAMPLE_RATE)]
    expected = torch.cat([fitted.encode(part, SAMPLE_RATE) for part in parts])
    assert torch.equal(fitted.encode(wave, SAMPLE_RATE), expected)


def test_vocabularies_of_before_say_which_folder_is_needed(saved):
    about = json.loads((saved / SIDECAR).read_text())
    old = {key: about[key] for key in ("key", "shapes", "checksum", "settings", "report")}
    (saved / SIDECAR).write_text(json.dumps(old))
    write_checksums(saved)
    with pytest.raises(UserError, match=r"earlier version, without the class .*; give the folder of the run"):
        Tokenizer.load(saved)


KMEANS = "audiotok.clustering.kmeans.KMeans"
CANARY = {"_target_": "os.system", "command": "touch canary"}
REFUSED = {
    "code": ({"features": CANARY}, r"features\._target_=os\.system is code from outside .*--trust os"),
    "deep code": (
        {"clustering": {"_target_": KMEANS, "seed": CANARY}},
        "os.system",
    ),
    "another room": ({"features": {"_target_": KMEANS}}, "is not a Features"),
    "no class": ({"clustering": None}, "clustering names no class"),
    "a number": ({"features": 7}, "features names no class"),
    "an argument": ({"clustering": {"_target_": KMEANS, "x": 1}}, "x=1 is not"),
    "a range": ({"clustering": {"_target_": KMEANS, "n_clusters": -1}}, "range"),
    "other settings": ({"clustering": {"_target_": KMEANS}}, "does not match"),
    "a later format": ({"format": FORMAT + 1}, "format 2, of a later version"),
    "a format of text": ({"format": "1"}, "of a later version"),
    "no sample": ({"sample": [1]}, "sample is missing"),
    "a sample": ({"sample": {"n_frames": "x"}}, "n_frames=x is of the wrong type"),
    "no length": ({"clip_seconds": None}, "clip_seconds=null is of the wrong type"),
    "a length": ({"clip_seconds": 1e9}, "out of range"),
    "a path": ({"shapes": {"../centroids": [1]}}, "a name that is not one"),
    "a list": ({"report": [1]}, "cannot be read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_of_a_stranger_is_refused_in_a_sentence(saved, name, monkeypatch):
    changes, words = REFUSED[name]
    monkeypatch.setattr("os.system", lambda *_: pytest.fail("code of a stranger runs"))
    with pytest.raises(UserError, match=words) as error:
        Tokenizer.load(changed(saved, **changes))
    assert "\n" not in str(error.value)


def test_code_of_ones_own_is_built_if_it_is_trusted(tiny_corpus, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "plugins"))
    from patches import Patches

    files = [path_of(clip) for clip in tiny_corpus.clips["train"]]
    tokenizer = Tokenizer(Patches(patch=80), Product(n_clusters=8, n_codebooks=4)).fit(files, 1.0)
    tokenizer.save(tmp_path / "own")
    with pytest.raises(UserError, match="add --trust patches"):
        Tokenizer.load(tmp_path / "own")
    found = Tokenizer.load(tmp_path / "own", trust=["patches"])
    assert torch.equal(found.encode(files[0]), tokenizer.encode(files[0]))
    monkeypatch.delitem(sys.modules, "patches")


class Nested(LogMel):
    def __init__(self, inner: Features, n: object = None) -> None:
        super().__init__()
        self.inner = inner


def test_an_object_says_what_it_was_built_with(fitted):
    node = Nested(LogMel(n_mels=16, n_components=32)).node
    assert node["_target_"].endswith("test_tokenizer_folder.Nested")
    assert node["inner"]["n_mels"] == 16
    assert node["inner"]["hop_length"] == 512
    assert Nested(LogMel(), n=object()).node is None

    class Local(LogMel):
        pass

    assert Local().node is None
    with pytest.raises(UserError, match=r"features=.*Local cannot be built from a file"):
        fitted.__class__(Local(), fitted.codebooks).save("nowhere")


def test_only_the_folder_of_a_tokenizer_is_replaced(fitted, saved, tmp_path):
    fitted.save(saved)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="is not the folder of a tokenizer, and is not empty"):
        fitted.save(tmp_path)
    with pytest.raises(UserError, match=r"has no vocabulary\.json; give the folder"):
        Tokenizer.load(tmp_path)
    with pytest.raises(UserError, match="is not a folder; give the folder"):
        Tokenizer.load(tmp_path / "none")
