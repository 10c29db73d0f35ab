"""The transformer against transformers' own, its pooling, and the layers that training skips."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from tiny_models import LENGTHS, TRANSFORMER
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from audiotok.model.bert_encoder import BertEncoder
from audiotok.model.encoder import INIT_STD, Encoder
from audiotok.padding import is_position


def build(**changes: Any) -> BertEncoder:
    """Build a tiny encoder whose weights are so large that every vector tells."""
    torch.manual_seed(0)
    encoder = BertEncoder(**{**TRANSFORMER, "n_positions": 9, **changes}).eval()
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, mean=float(parameter.ndim == 1), std=0.5)
    return encoder


def random_vectors(n_clips: int = 3, n_positions: int = 9) -> Tensor:
    return torch.randn(n_clips, n_positions, 16, generator=torch.Generator().manual_seed(1))


def inside_with_cls(lengths: Tensor) -> Tensor:
    return is_position(lengths + 1, 10)


def library_model(attention: str = "eager") -> BertModel:
    """Return transformers' model of the size of `TRANSFORMER`."""
    config = BertConfig(
        vocab_size=1,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=12,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    config._attn_implementation = attention
    return BertModel(config, add_pooling_layer=False)


@torch.no_grad()
def reference_states(encoder: Encoder, vectors: Tensor, lengths: Tensor) -> Tensor:
    """Return the states (B, 1 + T, H) of transformers' BERT with the same weights and explicit attention."""
    theirs = library_model().eval()
    missing, unexpected = theirs.load_state_dict(encoder.bert.state_dict(), strict=False)
    assert missing == ["embeddings.word_embeddings.weight"]
    assert unexpected == []
    inputs = torch.cat([encoder.cls.expand(len(vectors), 1, -1), vectors], 1)
    mask = inside_with_cls(lengths).long()
    return theirs(inputs_embeds=inputs, attention_mask=mask).last_hidden_state


# ---- the library as the oracle ----


def test_weights_of_the_library_load_by_their_names_and_are_read_as_by_the_library():
    """In training mode, too, with gradients; dropout is 0."""
    torch.manual_seed(1)
    theirs, ours = library_model("sdpa").train(), build().train()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, mean=float(parameter.ndim == 1), std=0.5)
    weights = {n: w for n, w in theirs.state_dict().items() if "word_embeddings" not in n}
    ours.bert.load_state_dict(weights)  # all names, and no others
    vectors, inside = random_vectors(n_positions=10), inside_with_cls(LENGTHS)
    expected = theirs(inputs_embeds=vectors, attention_mask=inside.long()).last_hidden_state
    states = ours.bert(vectors, inside)
    torch.testing.assert_close(states[inside], expected[inside])
    expected[inside].square().sum().backward()
    states[inside].square().sum().backward()
    gradients = {n: p.grad for n, p in theirs.named_parameters() if "word_embeddings" not in n}
    for name, parameter in ours.bert.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-3, atol=1e-3)


def test_initial_weights_are_those_that_the_library_draws():
    torch.manual_seed(0)
    expected = {n: w for n, w in library_model().state_dict().items() if "word_embeddings" not in n}
    cls = torch.randn(16) * INIT_STD
    torch.manual_seed(0)
    encoder = BertEncoder(**TRANSFORMER, n_positions=9)
    assert encoder.bert.state_dict().keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in encoder.bert.state_dict().items())
    assert torch.equal(encoder.cls, cls)  # building the layers has drawn nothing besides


# ---- states and pooling ----


@torch.no_grad()
def test_states_are_those_of_transformers_own_bert():
    encoder, vectors = build(), random_vectors()
    expected = reference_states(encoder, vectors, LENGTHS)
    inside = inside_with_cls(LENGTHS)
    states = encoder.states(vectors, LENGTHS)
    assert states.shape == (3, 10, 16)
    torch.testing.assert_close(states[inside], expected[inside])


@torch.no_grad()
def test_cls_pooling_takes_the_first_state():
    encoder, vectors = build(pooling="cls"), random_vectors()
    expected = reference_states(encoder, vectors, LENGTHS)[:, 0]
    torch.testing.assert_close(encoder(vectors, LENGTHS), expected)


@torch.no_grad()
def test_mean_pooling_averages_cls_and_the_positions_that_are_no_padding():
    encoder, vectors = build(pooling="mean"), random_vectors()
    states = reference_states(encoder, vectors, LENGTHS)
    expected = torch.stack([states[i, : 1 + n].mean(0) for i, n in enumerate(LENGTHS.tolist())])
    torch.testing.assert_close(encoder(vectors, LENGTHS), expected)


@torch.no_grad()
def test_attention_pooling_weighs_states_by_a_softmax_of_learnt_scores():
    encoder, vectors = build(pooling="attention"), random_vectors()
    states = reference_states(encoder, vectors, LENGTHS)
    assert encoder.attention is not None
    expected = []
    for i, n in enumerate(LENGTHS.tolist()):
        own = states[i, : 1 + n]
        expected.append((own @ encoder.attention.weight[0]).softmax(0) @ own)
    torch.testing.assert_close(encoder(vectors, LENGTHS), torch.stack(expected))


@torch.no_grad()
def test_attention_pooling_without_preferences_is_mean_pooling():
    encoder, vectors = build(pooling="attention"), random_vectors()
    assert encoder.attention is not None
    nn.init.zeros_(encoder.attention.weight)
    attended = encoder(vectors, LENGTHS)
    encoder.attention = None
    torch.testing.assert_close(attended, encoder(vectors, LENGTHS))


@torch.no_grad()
def test_mean_max_pooling_adds_the_maximum_over_positions_that_are_no_padding():
    encoder, vectors = build(pooling="mean_max"), random_vectors()
    states = encoder.states(vectors, LENGTHS)
    rows = [clip[: 1 + n] for clip, n in zip(states, LENGTHS.tolist(), strict=True)]
    expected = torch.stack([row.mean(0) + row.amax(0) for row in rows])
    torch.testing.assert_close(encoder(vectors, LENGTHS), expected)


# ---- stochastic depth ----


def layer_outputs(encoder: Encoder, vectors: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return what each layer was given and what it gave, (B, 1 + T, H) each."""
    given: list[Tensor] = []
    handles = [
        layer.attention["self"].query.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
        for layer in encoder.bert.layers
    ]
    with torch.no_grad():
        last = encoder.states(vectors, torch.full((len(vectors),), vectors.shape[1]))
    for handle in handles:
        handle.remove()
    return list(pairwise([*given, last]))


@torch.no_grad()
def test_no_layer_is_skipped_in_evaluation():
    vectors = random_vectors()
    assert torch.equal(build(stochastic_depth=0.9)(vectors, LENGTHS), build()(vectors, LENGTHS))


@torch.no_grad()
def test_no_layer_is_skipped_in_training_at_a_share_of_zero():
    vectors = random_vectors()
    assert torch.equal(build().train()(vectors, LENGTHS), build()(vectors, LENGTHS))


def test_clips_that_skip_the_last_layer_leave_it_as_they_came():
    encoder = build(stochastic_depth=1 - 1e-7).train()
    before, after = layer_outputs(encoder, random_vectors())[-1]
    assert torch.equal(before, after)


def test_earlier_layers_are_skipped_less_in_proportion():
    encoder = build(num_layers=3, stochastic_depth=0.6).train()
    outputs = layer_outputs(encoder, random_vectors(2000, 3))
    skipped = [(before == after).all((1, 2)).float().mean().item() for before, after in outputs]
    assert skipped == pytest.approx([0.2, 0.4, 0.6], abs=0.04)


def test_a_clip_skips_as_a_whole():
    encoder = build(stochastic_depth=0.5).train()
    before, after = layer_outputs(encoder, random_vectors(200, 3))[-1]
    is_same = (before == after).all(2)  # (B, 1 + T)
    assert torch.equal(is_same.any(1), is_same.all(1))
    assert 0 < is_same.all(1).sum() < 200


def test_the_change_of_clips_that_are_kept_is_scaled_up():
    encoder = build(num_layers=1, stochastic_depth=0.6)
    vectors = random_vectors(50, 3)
    ((before, full),) = layer_outputs(encoder, vectors)
    ((_, after),) = layer_outputs(encoder.train(), vectors)
    kept = (after != before).any(2).any(1)
    torch.testing.assert_close((after - before)[kept], (full - before)[kept] / 0.4, rtol=1e-4, atol=1e-4)


def test_states_are_in_expectation_those_of_the_whole_layer():
    encoder = build(num_layers=1, stochastic_depth=0.5)
    vectors = random_vectors(1, 3).expand(20000, -1, -1)
    ((_, expected),) = layer_outputs(encoder, vectors[:1])
    ((_, drawn),) = layer_outputs(encoder.train(), vectors)
    deviation = drawn.std(0) / 20000**0.5
    assert ((drawn.mean(0) - expected[0]).abs() < 5 * deviation + 1e-5).all()


def test_gradient_of_clips_that_skip_goes_past_the_layer():
    encoder = build(num_layers=1, stochastic_depth=1 - 1e-7).train()
    vectors = random_vectors().requires_grad_()
    encoder(vectors, torch.tensor([9, 9, 9])).square().sum().backward()
    assert vectors.grad is not None
    assert vectors.grad.abs().amax((1, 2)).gt(0).all()
    assert not any(p.grad.any() for p in encoder.bert.layers[0].parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_layers_are_skipped_in_half_precision_too(dtype):
    encoder = build(stochastic_depth=0.5).train()
    with torch.autocast("cpu", dtype=dtype):
        pooled = encoder(random_vectors(), LENGTHS)
    pooled.float().square().sum().backward()
    assert pooled.isfinite().all()
    assert all(p.grad.isfinite().all() for p in encoder.parameters() if p.grad is not None)


# ---- sizes and refusals ----


def test_no_vector_is_kept_for_words():
    assert not [name for name, _ in build().named_parameters() if "word_embeddings" in name]


def test_the_numbers_of_the_transformer_are_what_was_asked_for():
    encoder = build(num_layers=3, intermediate_size=24)
    assert len(encoder.bert.layers) == 3
    assert encoder.bert.layers[0].intermediate.dense.out_features == 24
    assert encoder.hidden_size == 16


def test_intermediate_size_of_none_is_four_times_the_width():
    assert build().bert.layers[0].intermediate.dense.out_features == 64
