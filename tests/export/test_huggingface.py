"""A Hugging Face folder computes what the run does, with the code in it or with audiotok."""

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
import yaml
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    AutoModelForAudioTokenization,
    dynamic_module_utils,
    pipeline,
)
from transformers.modeling_utils import PreTrainedAudioTokenizerBase
from untrained import KINDS, build

from audiotok.data.clip import SoundClass
from audiotok.export.bundle import bundle
from audiotok.export.huggingface import write_huggingface
from audiotok.export.parts import class_of
from audiotok.export.tokenizer import write_tokenizer

INSTALLED = {"annotated_types", "faiss", "numpy", "torch", "torchaudio", "tqdm", "transformers"}


@pytest.fixture(autouse=True)
def modules(tmp_path, monkeypatch):
    """Let transformers copy code to a folder of the test."""
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    transformers.utils.logging.disable_progress_bar()
    yield
    for name in [name for name in sys.modules if name.startswith("transformers_modules")]:
        del sys.modules[name]


@pytest.mark.parametrize(("kind", "clustering"), KINDS)
def test_the_pipeline_scores_sounds_as_the_run_does(sounds, tmp_path, kind, clustering):
    made = build(kind, clustering)
    write_huggingface(made.run, made.facts, tmp_path / "export")
    tagger = pipeline(
        "audio-classification", model=str(tmp_path / "export"), trust_remote_code=True, top_k=None
    )
    assert type(tagger.model).__module__.startswith("transformers_modules.")
    names = ["Dog (/m/00)", "Dog (/m/01)", "Rain, heavy (/m/02)", "a|b (/m/03)", "`c` (/m/04)"]
    for sound in sounds:
        found = {answer["label"]: answer["score"] for answer in tagger(sound)}
        expected = made.run.predict(sound, 8000).maximum()
        assert np.ptp(expected) > 0.01
        assert [found[name] for name in names] == pytest.approx(expected.tolist(), abs=1e-5)
    for sound in sounds[:3]:
        inputs = tagger.feature_extractor(sound, sampling_rate=8000, return_tensors="pt")
        tokens = made.run.tokens(sound, 8000)
        codes = tagger.model.encode(**inputs).audio_codes[0].T.numpy()
        np.testing.assert_array_equal(codes, tokens.tokens[0, : tokens.lengths[0]])


def test_softmax_is_applied_to_a_run_of_single_labels(sounds, tmp_path):
    made = build("bert", "product", "softmax")
    write_huggingface(made.run, made.facts, tmp_path / "export")
    tagger = pipeline(
        "audio-classification", model=str(tmp_path / "export"), trust_remote_code=True, top_k=None
    )
    scores = made.run.predict(sounds[0], 8000).maximum()
    assert [answer["score"] for answer in tagger(sounds[0])] == pytest.approx(sorted(scores)[::-1], abs=1e-5)


def test_a_batch_gives_what_its_sounds_give(sounds, tmp_path):
    made = build("bert", "product")
    write_huggingface(made.run, made.facts, tmp_path / "export")
    tagger = pipeline("audio-classification", model=str(tmp_path / "export"), trust_remote_code=True)
    inputs = tagger.feature_extractor(sounds, return_tensors="pt")
    logits = tagger.model(**inputs).logits
    expected = np.stack([made.run.predict(sound, 8000).maximum() for sound in sounds])
    np.testing.assert_allclose(logits.sigmoid(), expected, atol=1e-5)
    assert tagger.model.encode(**tagger.feature_extractor(sounds[:2], return_tensors="pt"))[
        "audio_codes"
    ].shape == (2, 4, 32)
    with pytest.raises(ValueError, match=r"longer than a clip of 1\.0 s; cut it"):
        tagger.model.encode(**inputs)
    with pytest.raises(ValueError, match=r"sampling_rate=44100 is not the 8000 Hz"):
        tagger.feature_extractor(sounds[0], sampling_rate=44100)
    with pytest.raises(ValueError, match=r"shape \(2, 5\); give one channel"):
        tagger.feature_extractor([np.zeros((2, 5), np.float32)])


def test_transformers_loads_a_tokenizer_that_encodes_as_audiotok_does(sounds, tmp_path):
    tokenizer = build("bag", "product").run.tokenizer
    tokenizer.clip_seconds = 1.0
    write_tokenizer(tokenizer, tmp_path / "tokenizer")
    model = AutoModelForAudioTokenization.from_pretrained(tmp_path / "tokenizer", trust_remote_code=True)
    extractor = AutoFeatureExtractor.from_pretrained(tmp_path / "tokenizer", trust_remote_code=True)
    assert type(model).__module__.startswith("transformers_modules.")
    assert isinstance(model, PreTrainedAudioTokenizerBase)
    expected = tokenizer.encode(sounds, 8000)
    codes = model.encode(**extractor(sounds, sampling_rate=8000, return_tensors="pt")).audio_codes
    assert codes.shape == (4, 4, max(map(len, expected)))
    for found, tokens in zip(codes, expected, strict=True):
        assert torch.equal(found[:, : len(tokens)].T, tokens)
        assert (found[:, len(tokens) :] == -1).all()
    waves = model.decode(codes)
    assert waves.shape[0] == 4
    assert waves.shape[1] == pytest.approx(len(sounds[3]), abs=400)
    assert waves.isfinite().all()
    assert waves[:, 5000:].abs().sum(1).tolist()[2] == 0
    wanted = {path.stem for path in (tmp_path / "tokenizer").glob("*.py")}
    assert not {name for name in wanted if name.startswith("model_")}


def test_audiotok_takes_the_place_of_the_code_in_the_folder(sounds, tmp_path):
    import audiotok.export.auto  # noqa: F401

    made = build("bag", "product")
    write_huggingface(made.run, made.facts, tmp_path / "export")
    model = AutoModelForAudioClassification.from_pretrained(tmp_path / "export")
    assert type(model).__module__ == "audiotok.export.modeling_audiotok"
    logits = model(torch.from_numpy(sounds[0])[None]).logits
    np.testing.assert_allclose(logits[0].sigmoid(), made.run.predict(sounds[0], 8000).scores[0], atol=1e-6)


def test_the_folder_needs_no_audiotok(tmp_path):
    made = build("bert", "product")
    write_huggingface(made.run, made.facts, tmp_path / "export")
    wanted = set()
    for path in (tmp_path / "export").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                wanted |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                wanted.add((node.module or "").partition(".")[0])
            elif isinstance(node, ast.ImportFrom):
                assert (tmp_path / "export" / f"{node.module}.py").is_file()
    assert wanted - set(sys.stdlib_module_names) == INSTALLED


def test_the_card_says_what_there_is_and_no_path_of_this_machine(tmp_path):
    made = build("bag", "product")
    write_huggingface(made.run, made.facts, tmp_path / "export")
    _, head, text = (tmp_path / "export" / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head)["pipeline_tag"] == "audio-classification"
    for words in (
        "| mean average precision | 0.5000 |",
        "train.py data.root=.../sounds",
        "CSV, `.../sounds`",
    ):
        assert words in text
    assert "somebody" not in text
    config = json.loads((tmp_path / "export" / "config.json").read_text())
    assert config["thresholds"] == [0.4, 0.5, 0.5, 0.5, 0.6]
    assert config["class_ids"][0] == SoundClass("/m/00", "Dog").id


@pytest.mark.parametrize("name", ["os.system", "audiotok.cli.app", "audiotok.model.model.torch", ""])
def test_a_config_of_a_stranger_names_no_other_code(name):
    with pytest.raises(ValueError, match=r"is not a class of audiotok; load the model with trust_remote"):
        class_of(name)


def test_the_module_of_a_plugin_lies_in_the_folder(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "plugins")
    files = bundle(["scalar.Scalar", "audiotok.features.logmel.LogMel", "audiotok.model.bag.Bag"])
    assert "from .clustering_codebooks import Codebooks" in files["scalar.py"]
    assert "from .scalar import Scalar" in "".join(files.values())
