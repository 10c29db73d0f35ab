import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from pretrained_models import ENCODERS, write_encoder
from torch import Tensor

from audiotok.errors import UserError
from audiotok.features.encoder import Encoder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A tiny encoder of each kind. Do not change them."""
    root = tmp_path_factory.mktemp("encoders")
    return {kind: write_encoder(kind, root / kind) for kind in ENCODERS}


def noise(n_samples: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(n_samples, generator=torch.Generator().manual_seed(seed))


def library_states(folder, sound: Tensor, layer: int) -> Tensor:
    """Return what the library gives for one sound alone, (positions, width)."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    inputs = extractor(sound.numpy(), sampling_rate=extractor.sampling_rate, return_tensors="pt")
    with torch.no_grad():
        return model(**inputs, output_hidden_states=True).hidden_states[layer][0]


@pytest.mark.parametrize("kind", ENCODERS)
def test_hidden_states_are_those_of_the_library_whatever_else_is_in_the_batch(folders, kind):
    features = Encoder(name=str(folders[kind]), layer=1)
    lengths = [int(seconds * features.sample_rate) for seconds in (0.6, 0.35)]
    waves = torch.zeros(2, lengths[0])
    for i, n in enumerate(lengths):
        waves[i, :n] = noise(n, i)
    analysis, n_slices = features.analyze(waves, torch.tensor(lengths))
    assert analysis.dtype == torch.float32
    assert n_slices.tolist() == [features.n_slices(n) for n in lengths]
    for i, n in enumerate(lengths):
        theirs = library_states(folders[kind], waves[i, :n], layer=1)
        if kind == "audio-spectrogram-transformer":  # two tokens, then patches: bands before time
            theirs = theirs[2:].reshape(2, -1, 16).mean(0)
        count = int(n_slices[i])
        assert len(theirs) == count or kind in ("whisper", "audio-spectrogram-transformer")
        np.testing.assert_allclose(analysis[i, :count], theirs[:count], atol=1e-4)
        assert not analysis[i, count:].any()
        alone, n_alone = features.analyze(waves[i : i + 1], torch.tensor([n]))
        assert n_alone[0] == count
        np.testing.assert_allclose(alone[0], analysis[i], atol=1e-4)


@pytest.mark.parametrize("kind", ["hubert", "whisper", "audio-spectrogram-transformer"])
def test_sounds_of_any_length_have_as_many_hidden_states_as_are_announced(folders, kind):
    features = Encoder(name=str(folders[kind]), pool=3)
    for n_samples in (1, 399, 401, 5000, 40_001):  # shorter than a window, and several windows
        analysis, n_slices = features.analyze(noise(n_samples)[None], torch.tensor([n_samples]))
        assert analysis.shape[1] == n_slices[0] == features.n_slices(n_samples) >= 1
        assert analysis.isfinite().all()


def test_pooling_is_the_mean_of_neighbours_that_are_there(folders):
    wave, n_samples = noise(4200)[None], torch.tensor([4200])
    one, _ = Encoder(name=str(folders["hubert"])).analyze(wave, n_samples)
    four, n_slices = Encoder(name=str(folders["hubert"]), pool=4).analyze(wave, n_samples)
    expected = torch.stack([part.mean(1) for part in one.split(4, 1)], 1)
    assert one.shape[1] % 4
    assert n_slices[0] == expected.shape[1]
    np.testing.assert_allclose(four, expected, atol=1e-6)


def test_settings_follow_the_weights_and_not_the_name(folders, tmp_path):
    name = str(folders["hubert"])
    plain = Encoder(name=name).settings
    shutil.copytree(name, tmp_path / "copy")
    assert Encoder(name=str(tmp_path / "copy")).settings == plain
    other = Encoder(name=str(write_encoder("hubert", tmp_path / "other", seed=1))).settings
    extractor = tmp_path / "copy" / "preprocessor_config.json"
    extractor.write_text(json.dumps({**json.loads(extractor.read_text()), "do_normalize": True}))
    read_otherwise = Encoder(name=str(tmp_path / "copy")).settings
    assert len({settings["weights"] for settings in (plain, other, read_otherwise)}) == 3
    of_layers = [Encoder(name=name, layer=layer).analysis_settings for layer in (1, 2)]
    assert of_layers[0] != of_layers[1]
    projected = Encoder(name=name, layer=1, n_components=4)
    assert projected.analysis_settings == of_layers[0] != projected.settings


def test_the_encoder_stays_as_it_is(folders):
    features = Encoder(name=str(folders["wavlm"])).train()
    assert not any(part.training for part in features.encoder.modules())
    assert not any(weight.requires_grad for weight in features.parameters())


def broken(folder, kind, tmp_path):
    """Return the name of a model that is not one."""
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    if kind == "pickle":
        (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    elif kind == "no extractor":
        (copy / "preprocessor_config.json").unlink()
    elif kind == "cut":
        (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:999])
    else:
        config = json.loads((copy / "config.json").read_text())
        config |= {"code": {"auto_map": {"AutoModel": "evil.Model"}, "model_type": "evil"}}.get(kind, {})
        config |= {"wider": {"hidden_size": 32}, "text": {"model_type": "bert"}}.get(kind, {})
        (copy / "config.json").write_text(json.dumps(config))
    return str(copy)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("pickle", "has no weights in safetensors, and pickled ones are not read"),
        ("no extractor", "has no preprocessor_config.json"),
        ("cut", "cannot be read as a model of transformers"),
        ("code", "cannot be read as a model|needs code of its repository"),
        ("wider", "cannot be read as a model|lacks"),
        ("text", "lacks|cannot be read"),
    ],
)
def test_what_is_not_an_encoder_is_told_in_a_sentence(folders, tmp_path, kind, sentence):
    with pytest.raises(UserError, match=sentence) as told:
        Encoder(name=broken(folders["hubert"], kind, tmp_path))
    assert "features.name=" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (None, "features.name=null names no model"),
        ("./nowhere", r"features\.name=\./nowhere is not a folder"),
        ("nobody/nothing", "is not on this machine and cannot be downloaded"),
    ],
)
def test_a_name_of_nothing_is_told_in_a_sentence(name, sentence, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=sentence):
        Encoder(name=name)


def test_a_layer_that_is_not_there_is_told_in_a_sentence(folders):
    with pytest.raises(UserError, match=r"features\.layer=3 is beyond the 2 layers"):
        Encoder(name=str(folders["hubert"]), layer=3)
