"""Weights of a pretraining run, handed to the model of another."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import KINDS, LENGTHS, SIZES, build, build_awake, random_inputs, random_start
from torch import Tensor

from audiotok.errors import UserError
from audiotok.experiment.weights import load_earlier
from audiotok.model.bert import Bert
from audiotok.model.model import Model, Sizes


def write_checkpoint(run: Path, model: Model, vocabulary_key: str = "words", **more: object) -> Path:
    """Write what a LightningModule of a model and a head leaves in its folder."""
    weights = {f"model.{name}": weight for name, weight in model.state_dict().items()}
    weights |= {"head.weight": torch.zeros(40, 16), "head.bias": torch.zeros(40)}
    (run / "checkpoints").mkdir(parents=True)
    torch.save(
        {"epoch": 3, "vocabulary_key": vocabulary_key, "state_dict": weights, **more},
        run / "checkpoints" / "best.ckpt",
    )
    return run


def learnt(model: Bert) -> dict[str, Tensor]:
    """Return what pretraining learns and a tagger begins with."""
    states = {f"encoder.bert.{name}": weight for name, weight in model.encoder.bert.state_dict().items()}
    return states | {"encoder.cls": model.encoder.cls, "words": model.words.table.weight}


@torch.no_grad()
def test_layers_and_words_are_loaded_and_the_rest_begins_anew(tmp_path):
    pretrained = build_awake("bert")
    model = build("bert", start_at_prior=True, embedding="centroids")
    model.start_from(random_start())
    classifier = model.classifier.weight.clone()

    load_earlier(model, write_checkpoint(tmp_path, pretrained), "words")

    expected, states = learnt(pretrained), learnt(model)
    assert states.keys() == expected.keys()
    assert all(torch.equal(states[name], expected[name]) for name in expected)
    assert torch.equal(model.classifier.weight, classifier)
    assert model.classifier.bias[0] == 0  # the prior of 0.5
    assert model.classifier.bias[1] < -2
    tokens = random_inputs("tokens")
    assert torch.equal(model.states(tokens, LENGTHS), pretrained.states(tokens, LENGTHS))


@pytest.mark.parametrize(("before", "after"), [("mean", "attention"), ("attention", "mean")])
def test_pooling_and_classes_may_differ_from_those_of_the_pretraining_run(tmp_path, before, after):
    pretrained = build_awake("bert", pooling=before, sizes=Sizes(10, 6, 2, 20, 9, 11))
    model = build("bert", pooling=after)
    load_earlier(model, write_checkpoint(tmp_path, pretrained), "words")
    assert all(torch.equal(weight, learnt(pretrained)[name]) for name, weight in learnt(model).items())
    assert model.classifier.out_features == SIZES.n_classes


def refusal(run: Path, kind: str = "bert", **changes: Any) -> str:
    """Return the sentence that says why a model cannot begin with a run."""
    with pytest.raises(UserError) as refused:
        load_earlier(build(kind, **changes), run, "words")
    message = str(refused.value)
    assert message.startswith(f"model.init_from={run} ")
    assert message.endswith(".")
    assert "; " in message
    assert "\n" not in message
    return message


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path):
        message = refusal(folder)
        assert "has no best.ckpt" in message
        assert "null" in message


def test_a_run_with_another_vocabulary_is_refused(tmp_path):
    message = refusal(write_checkpoint(tmp_path, build("bert"), "other words"))
    assert "trained with the centroids other words" in message
    assert "this run has words; use the features and clustering of that run" in message


def test_a_run_without_a_vocabulary_is_refused(tmp_path):
    write_checkpoint(tmp_path, build("bert"))
    torch.save({"state_dict": build("bert").state_dict()}, tmp_path / "checkpoints" / "best.ckpt")
    assert "holds no checkpoint of audiotok" in refusal(tmp_path)


OTHER_CLASSES = Sizes(10, 6, 2, 20, 9, 11)


@pytest.mark.parametrize("kind", sorted(KINDS))
@torch.no_grad()
def test_all_layers_of_a_tagger_but_the_last_are_taken(tmp_path, kind):
    tagger = build_awake(kind, sizes=OTHER_CLASSES)
    model = build(kind)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    load_earlier(model, write_checkpoint(tmp_path, tagger, classes=[["a", "A"]]), "words")
    theirs = tagger.state_dict()
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name] if name.startswith("classifier.") else theirs[name]), name


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_frozen_layers_compute_as_after_training_and_the_last_one_learns(kind):
    model = build_awake(kind)
    inputs = random_inputs(model.reads)
    expected = model.eval()(inputs, LENGTHS)
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.5
    model.freeze()
    found = model.train()(inputs, LENGTHS)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    learning = {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert learning == {"classifier.weight", "classifier.bias"}
    assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())


def test_a_linear_classifier_has_nothing_to_begin_with(tmp_path):
    linear = build("bag", hidden_sizes=[])
    run = write_checkpoint(tmp_path, linear, classes=[["a", "A"]])
    assert "leaves nothing to begin with" in refusal(run, "bag", hidden_sizes=[])


@pytest.mark.parametrize(
    "changes",
    [{"hidden_size": 32}, {"num_layers": 1}, {"num_layers": 3}, {"max_position_embeddings": 20}],
    ids=str,
)
def test_a_run_of_another_size_is_refused(tmp_path, changes):
    message = refusal(write_checkpoint(tmp_path, build("bert")), **changes)
    assert "has another model than is configured; use the model of that run" in message


def test_a_run_of_a_model_of_another_kind_is_refused(tmp_path):
    assert "another model" in refusal(write_checkpoint(tmp_path, build("lstm")))


def test_a_model_that_cannot_be_pretrained_is_refused(tmp_path):
    assert "model=bert" in refusal(write_checkpoint(tmp_path, build("bert")), "lstm")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None], ids=["empty", "other", "cut short"])
def test_a_checkpoint_that_cannot_be_read_is_refused(tmp_path, content):
    write_checkpoint(tmp_path, build("bert"))
    path = tmp_path / "checkpoints" / "best.ckpt"
    path.write_bytes(path.read_bytes()[:-2000] if content is None else content)
    assert "cannot be read" in refusal(tmp_path)
