"""An ONNX model computes what the run does, alone and in batches."""

import json
from unittest.mock import patch

import numpy as np
import pytest
import torch
from untrained import KINDS, build

from audiotok.errors import UserError
from audiotok.export.graph import Graph
from audiotok.export.onnx_model import write_onnx

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")


def batch(sounds: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {
        "waveform": np.stack([np.pad(sound, (0, 8000 - len(sound))) for sound in sounds]),
        "n_samples": np.array([len(sound) for sound in sounds]),
    }


def check(made, sounds, scores, tokens, n_tokens):
    for i, sound in enumerate(sounds):
        expected = made.run.tokens(sound, 8000)
        assert n_tokens[i] == expected.lengths[0]
        np.testing.assert_array_equal(tokens[i, : n_tokens[i]], expected.tokens[0, : n_tokens[i]])
        np.testing.assert_allclose(scores[i], made.run.predict(sound, 8000).scores[0], atol=1e-5)


@pytest.mark.parametrize(("kind", "clustering"), KINDS)
def test_the_graph_of_every_model_and_clustering_computes_what_the_run_does(sounds, kind, clustering):
    made = build(kind, clustering)
    given = {name: torch.from_numpy(array) for name, array in batch(sounds[:3]).items()}
    with patch("torch.compiler.is_exporting", return_value=True):
        outputs = Graph(made.run)(**given)
    check(made, sounds[:3], *(output.numpy() for output in outputs))
    assert made.run.tokenizer.features.spectrogram.window.dtype == torch.float32


def test_onnx_scores_sounds_as_the_run_does(sounds, tmp_path):
    made = build("bert", "product")
    write_onnx(made.run, made.facts, tmp_path / "export")
    model = tmp_path / "export" / "model.onnx"
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for some in (sounds[:1], sounds[:3]):
        check(made, some, *session.run(None, batch(some)))
    described = json.loads((tmp_path / "export" / "model.json").read_text())
    assert described["sample_rate"] == 8000
    assert [one["id"] for one in described["classes"]] == [f"/m/0{i}" for i in range(5)]
    assert "onnxruntime" in (tmp_path / "export" / "README.md").read_text()


def test_a_model_that_onnx_cannot_express_is_one_sentence(tmp_path):
    """The LSTM packs sequences of several lengths, which torch's exporter does not follow."""
    made = build("lstm", "random")
    words = r"^--to onnx cannot translate the model LSTM \([^\n\x1b]+\); choose --to hf\.$"
    with pytest.raises(UserError, match=words) as refused:
        write_onnx(made.run, made.facts, tmp_path / "export")
    assert len(str(refused.value)) < 200
    assert not (tmp_path / "export").exists()
