from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny_models import LENGTHS, build, build_awake, random_inputs, random_start
from torch import nn
from transformers import BertConfig, BertModel

from audiotok.errors import UserError
from audiotok.model.bert import Bert
from audiotok.model.embedding import N_SPECIAL
from audiotok.model.model import Sizes
from audiotok.padding import is_position

CONFIGS = Path(__file__).parents[2] / "configs" / "model"


def shipped(name: str) -> dict[str, Any]:
    """Return the numbers of a shipped model option; each is a diff to the one before it."""
    settings: dict[str, Any] = {}
    for part in ("_transformer", "bert", name):
        settings |= yaml.safe_load((CONFIGS / f"{part}.yaml").read_text())
    left_out = ("_target_", "defaults", "init_from", "freeze")  # the experiment reads the last two
    return {key: value for key, value in settings.items() if key not in left_out}


def n_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def expected_n_parameters(n_layers: int, width: int, positions: int, n_words: int, n_classes: int) -> int:
    """Count by hand: embeddings with their norm, layers with an inner width of 4, and the classifier."""
    embeddings = (n_words + positions + 2) * width + 2 * width
    attention = 4 * (width * width + width) + 2 * width
    inner = width * 4 * width + 4 * width + 4 * width * width + width + 2 * width
    return embeddings + n_layers * (attention + inner) + width * n_classes + n_classes


# ---- what the model computes ----


@torch.no_grad()
def test_one_codebook_reads_as_transformers_own_bert_reads_ids():
    sizes = Sizes(10, 6, 1, 20, 9, 5)
    model = build_awake("bert", sizes=sizes, pooling="cls")
    tokens = random_inputs("tokens", sizes=sizes)
    config = BertConfig(
        vocab_size=22,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=12,
    )
    theirs = BertModel(config, add_pooling_layer=False).eval()
    theirs.load_state_dict(model.encoder.bert.state_dict(), strict=False)
    theirs.embeddings.word_embeddings.weight = nn.Parameter(
        torch.cat([model.words.table.weight, model.encoder.cls[None]])  # [MASK], 20 words, [CLS]
    )

    ids = torch.cat([torch.full((3, 1), 21), N_SPECIAL + tokens[..., 0]], 1)
    states = theirs(input_ids=ids, attention_mask=is_position(LENGTHS + 1, 10).long()).last_hidden_state

    torch.testing.assert_close(model(tokens, LENGTHS), model.classifier(states[:, 0]))


@torch.no_grad()
def test_logits_are_a_linear_layer_on_what_the_encoder_pools():
    model = build_awake("bert")
    tokens = random_inputs("tokens")
    pooled = model.encoder(model.words(tokens), LENGTHS)
    expected = pooled @ model.classifier.weight.T + model.classifier.bias
    torch.testing.assert_close(model(tokens, LENGTHS), expected)


@torch.no_grad()
def test_order_enters_by_the_position_embeddings_alone():
    model = build_awake("bert")
    nn.init.zeros_(model.encoder.bert.embeddings.position_embeddings.weight)
    tokens, full = random_inputs("tokens"), torch.tensor([9, 9, 9])
    torch.testing.assert_close(model(tokens.flip(1), full), model(tokens, full), rtol=1e-4, atol=1e-4)


def test_only_the_words_of_the_batch_learn():
    model = build_awake("bert")
    tokens = random_inputs("tokens")
    model(tokens, torch.tensor([9, 9, 9])).square().sum().backward()
    learning = model.words.table.weight.grad.abs().sum(1).nonzero().flatten().tolist()
    heard = {N_SPECIAL + q * 20 + token for q in range(2) for token in tokens[..., q].unique().tolist()}
    assert set(learning) == heard


def test_dropout_acts_before_the_logits():
    model = build_awake("bert", dropout=0.9).train()
    model.encoder.eval()
    tokens = random_inputs("tokens")
    assert not torch.equal(model(tokens, LENGTHS), model(tokens, LENGTHS))


def test_attention_dropout_acts_in_training_alone():
    model = build_awake("bert", attention_dropout=0.5)
    tokens = random_inputs("tokens")
    assert torch.equal(model(tokens, LENGTHS), model(tokens, LENGTHS))
    model.train()
    assert not torch.equal(model(tokens, LENGTHS), model(tokens, LENGTHS))


def test_stochastic_depth_acts_in_training_alone():
    model = build_awake("bert", stochastic_depth=0.5)
    tokens = random_inputs("tokens")
    assert torch.equal(model(tokens, LENGTHS), model(tokens, LENGTHS))
    model.train()
    assert not torch.equal(model(tokens, LENGTHS), model(tokens, LENGTHS))


# ---- what the weights begin at ----


def test_all_weights_but_those_of_words_begin_at_random_also_with_centroids():
    at_random, at_centroids = build("bert"), build("bert", embedding="centroids")
    at_centroids.start_from(random_start())
    different = {
        name
        for name, weight in at_random.state_dict().items()
        if not torch.equal(weight, at_centroids.state_dict()[name])
    }
    assert different == {"words.table.weight"}


def test_a_started_model_learns_its_words_and_its_prior():
    model = build("bert", embedding="centroids", start_at_prior=True).train()
    model.start_from(random_start())
    model(random_inputs("tokens"), LENGTHS).square().sum().backward()
    assert model.words.table.weight.grad[N_SPECIAL:].any()
    assert model.classifier.bias.grad.any()


# ---- sizes ----


def test_parameters_of_the_default_size_are_counted_by_formula():
    settings = shipped("bert")
    with torch.device("meta"):
        model = Bert(**settings, sizes=Sizes(64, 64, 8, 256, 108, 24))
    n_words = 8 * 256 + 2  # [MASK] and [CLS]
    expected = expected_n_parameters(
        settings["num_layers"], settings["hidden_size"], settings["max_position_embeddings"], n_words, 24
    )
    assert n_parameters(model) == expected


def test_bert_base_has_86_million_parameters():
    with torch.device("meta"):
        model = Bert(**shipped("bert_base"), sizes=Sizes(64, 64, 1, 50, 431, 527))
    assert n_parameters(model) == expected_n_parameters(12, 768, 512, 52, 527)
    assert round(n_parameters(model) / 1e6) == 86


# ---- refusals, of frames as of bert ----

transformers = pytest.mark.parametrize("kind", ["bert", "frames"])


@transformers
def test_a_clip_may_fill_all_positions_but_that_of_cls(kind):
    model = build(kind, max_position_embeddings=10)
    assert model(random_inputs(model.reads), torch.tensor([9, 9, 9])).shape == (3, 5)


@transformers
def test_too_few_positions_are_refused(kind):
    sentence = r"^model\.max_position_embeddings=9 is smaller than the 9 tokens and \[CLS\] .*; raise it, or "
    with pytest.raises(UserError, match=sentence):
        build(kind, max_position_embeddings=9)


@transformers
def test_heads_that_do_not_divide_the_width_are_refused(kind):
    sentence = r"^model\.hidden_size=16 is not a multiple of model\.num_heads=3; change one\.$"
    with pytest.raises(UserError, match=sentence):
        build(kind, num_heads=3)


@pytest.mark.parametrize(
    "key", ["num_layers", "hidden_size", "num_heads", "intermediate_size", "max_position_embeddings"]
)
def test_sizes_below_one_are_refused(key):
    changes: dict[str, Any] = {key: 0}
    with pytest.raises(UserError, match=rf"^model\.{key}=0 is .*; \w+.*\.$"):
        build("bert", **changes)


@pytest.mark.parametrize("value", [-0.1, 1.0])
@pytest.mark.parametrize("key", ["attention_dropout", "stochastic_depth"])
def test_numbers_that_are_not_shares_are_refused(key, value):
    changes: dict[str, Any] = {key: value}
    with pytest.raises(UserError, match=rf"^model\.{key}={value} is not a share; \w+.*\.$"):
        build("bert", **changes)
