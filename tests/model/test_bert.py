from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn
from transformers import BertModel

from audiotok.errors import UserError
from audiotok.model.bert import CLS, N_SPECIAL, PAD, Bert

CONFIGS = Path(__file__).parents[2] / "configs" / "model"
TINY = {
    "num_layers": 2,
    "hidden_size": 16,
    "num_heads": 4,
    "intermediate_size": None,
    "max_position_embeddings": 12,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "pooling": "cls",
    "embedding": "random",
    "start_at_prior": False,
    "n_codebooks": 1,
    "n_clusters": 20,
    "n_tokens": 9,
    "n_classes": 5,
}


def build(**changes: object) -> Bert:
    """Build a tiny model whose weights are ten times as large as at first, so that every token tells."""
    torch.manual_seed(0)
    model = Bert(**{**TINY, **changes}).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter *= 10
    return model


def random_tokens(n_clips: int = 3, n_tokens: int = 9, n_codebooks: int = 1, n_clusters: int = 20) -> Tensor:
    return torch.randint(
        n_clusters, (n_clips, n_tokens, n_codebooks), generator=torch.Generator().manual_seed(1)
    )


def shipped(name: str) -> dict[str, object]:
    """Return the numbers of a shipped model option; `bert_base` is a diff to `bert`."""
    settings = yaml.safe_load((CONFIGS / "bert.yaml").read_text())
    settings |= yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    return {key: value for key, value in settings.items() if key not in ("_target_", "defaults")}


def n_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def expected_n_parameters(n_layers: int, width: int, positions: int, n_words: int, n_classes: int) -> int:
    """Count by hand: embeddings with their norm, layers with an inner width of 4, and the classifier."""
    embeddings = (n_words + positions + 2) * width + 2 * width
    attention = 4 * (width * width + width) + 2 * width
    inner = width * 4 * width + 4 * width + 4 * width * width + width + 2 * width
    return embeddings + n_layers * (attention + inner) + width * n_classes + n_classes


def hidden_states(model: Bert, tokens: Tensor, n_tokens: Tensor) -> Tensor:
    """Return what the transformer hands to pooling, (B, 1 + T, hidden)."""
    kept = []
    handle = model.bert.register_forward_hook(lambda _, __, output: kept.append(output.last_hidden_state))
    with torch.no_grad():
        model(tokens, n_tokens)
    handle.remove()
    return kept[0]


# ---- what the model computes ----


@torch.no_grad()
def test_one_codebook_reads_as_transformers_own_bert_reads_ids() -> None:
    model = build()
    theirs = BertModel(model.bert.config, add_pooling_layer=False).eval()
    theirs.load_state_dict(model.bert.state_dict())
    tokens, n_tokens = random_tokens(), torch.tensor([9, 6, 1])

    ids = torch.cat([torch.full((3, 1), CLS), N_SPECIAL + tokens[..., 0]], 1)
    is_padding = torch.arange(10) > n_tokens[:, None]
    expected = theirs(
        input_ids=ids.masked_fill(is_padding, PAD), attention_mask=(~is_padding).long()
    ).last_hidden_state

    states = hidden_states(model, tokens, n_tokens)
    torch.testing.assert_close(states[~is_padding], expected[~is_padding])


@torch.no_grad()
def test_logits_are_a_linear_layer_on_the_cls_state() -> None:
    model = build(pooling="cls")
    tokens, n_tokens = random_tokens(), torch.tensor([9, 6, 1])
    first = hidden_states(model, tokens, n_tokens)[:, 0]
    expected = first @ model.classifier.weight.T + model.classifier.bias
    torch.testing.assert_close(model(tokens, n_tokens), expected)


@torch.no_grad()
def test_mean_pooling_averages_cls_and_the_tokens_that_are_no_padding() -> None:
    model = build(pooling="mean")
    tokens, n_tokens = random_tokens(), torch.tensor([9, 6, 1])
    states = hidden_states(model, tokens, n_tokens)
    means = torch.stack([states[i, : 1 + n].mean(0) for i, n in enumerate(n_tokens.tolist())])
    torch.testing.assert_close(model(tokens, n_tokens), model.classifier(means))


@torch.no_grad()
def test_embeddings_of_several_codebooks_are_summed() -> None:
    model = build(n_codebooks=3)
    tokens = random_tokens(n_codebooks=3)
    table = model.bert.embeddings.word_embeddings.weight
    rows = [table[N_SPECIAL + q * 20 + tokens[..., q]] for q in range(3)]

    embedded = model.embed(tokens)

    assert embedded.shape == (3, 10, 16)
    torch.testing.assert_close(embedded[:, 1:], rows[0] + rows[1] + rows[2])
    torch.testing.assert_close(embedded[:, 0], table[CLS].expand(3, -1))


def test_every_codebook_has_rows_of_its_own() -> None:
    model = build(n_codebooks=4, n_clusters=7)
    assert model.vocab_size == N_SPECIAL + 4 * 7
    assert len(model.bert.embeddings.word_embeddings.weight) == N_SPECIAL + 4 * 7


@torch.no_grad()
def test_the_same_code_of_another_codebook_is_another_word() -> None:
    model = build(n_codebooks=2)
    tokens, n_tokens = random_tokens(n_codebooks=2), torch.tensor([9, 9, 9])
    assert not torch.allclose(model(tokens, n_tokens), model(tokens.flip(-1), n_tokens), atol=1e-2)


@torch.no_grad()
def test_order_of_tokens_matters() -> None:
    model = build()
    tokens, n_tokens = random_tokens(), torch.tensor([9, 9, 9])
    assert not torch.allclose(model(tokens, n_tokens), model(tokens.flip(1), n_tokens), atol=1e-2)


def test_logits_are_float32_of_clips_by_classes() -> None:
    logits = build(n_codebooks=2)(random_tokens(n_codebooks=2), torch.tensor([9, 6, 1]))
    assert logits.shape == (3, 5)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


# ---- padding and batches ----

poolings = pytest.mark.parametrize("pooling", ["cls", "mean"])


@poolings
@torch.no_grad()
def test_padding_does_not_change_logits(pooling: str) -> None:
    model = build(pooling=pooling, n_codebooks=2)
    tokens, n_tokens = random_tokens(n_codebooks=2), torch.tensor([9, 6, 1])
    is_padding = torch.arange(9) >= n_tokens[:, None]
    junk = torch.randint(20, tokens.shape, generator=torch.Generator().manual_seed(2))
    junked = torch.where(is_padding[..., None], junk, tokens)
    assert not torch.equal(junked, tokens)
    torch.testing.assert_close(model(junked, n_tokens), model(tokens, n_tokens), rtol=0, atol=1e-5)


@poolings
@torch.no_grad()
def test_tokens_that_are_no_padding_change_logits(pooling: str) -> None:
    model = build(pooling=pooling)
    tokens, n_tokens = random_tokens(), torch.tensor([9, 6, 1])
    changed = tokens.clone()
    for row, n in enumerate(n_tokens.tolist()):
        changed[row, n - 1] = (changed[row, n - 1] + 1) % 20
    difference = (model(changed, n_tokens) - model(tokens, n_tokens)).abs().amax(1)
    assert (difference > 1e-3).all()


@poolings
@torch.no_grad()
def test_a_batch_gives_what_its_clips_give_one_by_one_and_unpadded(pooling: str) -> None:
    model = build(pooling=pooling, n_codebooks=2)
    tokens, n_tokens = random_tokens(n_codebooks=2), torch.tensor([9, 6, 1])
    alone = [model(clip[None, :n], n[None]) for clip, n in zip(tokens, n_tokens, strict=True)]
    torch.testing.assert_close(model(tokens, n_tokens), torch.cat(alone), rtol=1e-4, atol=1e-5)


# ---- what the weights begin at ----

PRIOR = torch.tensor([0.5, 0.1, 0.02, 0.0, 1.0])


def random_centroids(n_codebooks: int = 2, n_clusters: int = 20) -> Tensor:
    centroids = torch.randn(n_codebooks, n_clusters, 6, generator=torch.Generator().manual_seed(3))
    return 30 * centroids - 50  # dB


def started(**changes: object) -> Bert:
    model = build(n_codebooks=2, **changes)
    torch.manual_seed(4)
    model.start_from(random_centroids(), PRIOR)
    return model


def words(model: Bert) -> Tensor:
    """Return the vectors of the tokens (Q, K, hidden)."""
    return model.bert.embeddings.word_embeddings.weight.detach()[N_SPECIAL:].unflatten(0, (2, 20))


def test_probabilities_begin_at_how_often_each_class_is_heard() -> None:
    model = started(start_at_prior=True)
    nn.init.zeros_(model.classifier.weight)
    logits = model(random_tokens(n_codebooks=2), torch.tensor([9, 6, 1]))
    expected = torch.tensor([0.5, 0.1, 0.02, 0.001, 0.999])  # nothing is impossible, nothing certain
    torch.testing.assert_close(logits.sigmoid(), expected.expand(3, 5))


def test_probabilities_begin_at_one_half_without_the_prior() -> None:
    model = started(start_at_prior=False)
    nn.init.zeros_(model.classifier.weight)
    logits = model(random_tokens(n_codebooks=2), torch.tensor([9, 6, 1]))
    torch.testing.assert_close(logits.sigmoid(), torch.full((3, 5), 0.5))


def test_tokens_begin_as_far_apart_as_their_centroids() -> None:
    model = started(embedding="centroids", hidden_size=1024, num_layers=1)
    centroids = random_centroids()
    for vectors, book in zip(words(model), centroids, strict=True):
        ratios = torch.pdist(vectors) / torch.pdist(book)
        assert ratios.std() < 0.05 * ratios.mean()


def test_tokens_that_begin_at_centroids_are_as_large_as_random_ones() -> None:
    model = started(embedding="centroids")
    assert words(model).std() == pytest.approx(0.02, rel=1e-3)
    assert words(model).mean(1).abs().max() < 1e-6  # each codebook around 0


def test_special_tokens_and_all_other_weights_begin_at_random_also_with_centroids() -> None:
    at_random, at_centroids = started(embedding="random"), started(embedding="centroids")
    others = {
        name: weight for name, weight in at_random.state_dict().items() if "word_embeddings" not in name
    }
    assert all(torch.equal(weight, at_centroids.state_dict()[name]) for name, weight in others.items())
    special = [m.bert.embeddings.word_embeddings.weight[:N_SPECIAL] for m in (at_random, at_centroids)]
    assert torch.equal(*special)
    assert not torch.equal(words(at_random), words(at_centroids))


def test_equal_centroids_begin_alike_and_stay_finite() -> None:
    model = build(n_codebooks=2, embedding="centroids")
    model.start_from(torch.ones(2, 20, 6), PRIOR)
    assert not words(model).any()


def test_a_model_that_begins_at_random_takes_nothing_from_the_clips() -> None:
    before, after = build(n_codebooks=2).state_dict(), started().state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_started_model_learns_its_words_and_its_prior() -> None:
    model = started(embedding="centroids", start_at_prior=True).train()
    model(random_tokens(n_codebooks=2), torch.tensor([9, 6, 9])).square().sum().backward()
    assert model.bert.embeddings.word_embeddings.weight.grad[N_SPECIAL:].any()
    assert model.classifier.bias.grad.any()


# ---- training ----


@poolings
def test_gradient_reaches_every_parameter(pooling: str) -> None:
    model = build(pooling=pooling, n_codebooks=2).double().train()
    model(random_tokens(n_codebooks=2), torch.tensor([9, 6, 9])).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        # Softmax takes no notice of what all keys have in common, so their bias cannot learn.
        is_reached = not name.endswith("key.bias")
        assert (parameter.grad.abs().max() > 1e-12) == is_reached, name


def test_only_the_words_of_the_batch_learn() -> None:
    model = build(n_codebooks=2)
    tokens = random_tokens(n_codebooks=2)
    model(tokens, torch.tensor([9, 9, 9])).square().sum().backward()
    learning = model.bert.embeddings.word_embeddings.weight.grad.abs().sum(1).nonzero().flatten()
    words = {N_SPECIAL + int(t) for t in tokens[..., 0].unique()} | {
        N_SPECIAL + 20 + int(t) for t in tokens[..., 1].unique()
    }
    assert set(learning.tolist()) == {CLS} | words


def test_dropout_acts_in_training_alone() -> None:
    model = build(dropout=0.5)
    tokens, n_tokens = random_tokens(), torch.tensor([9, 9, 9])
    assert torch.equal(model(tokens, n_tokens), model(tokens, n_tokens))
    model.train()
    assert not torch.equal(model(tokens, n_tokens), model(tokens, n_tokens))


def test_dropout_acts_before_the_logits() -> None:
    model = build(dropout=0.9).train()
    model.bert.eval()
    with torch.no_grad():
        model.classifier.weight.fill_(1.0)
    tokens, n_tokens = random_tokens(), torch.tensor([9, 9, 9])
    assert not torch.equal(model(tokens, n_tokens), model(tokens, n_tokens))


# ---- sizes ----


def test_parameters_of_the_default_size_are_counted_by_formula() -> None:
    settings = shipped("bert")
    with torch.device("meta"):
        model = Bert(**settings, n_codebooks=8, n_clusters=256, n_tokens=108, n_classes=24)
    expected = expected_n_parameters(
        settings["num_layers"], settings["hidden_size"], settings["max_position_embeddings"], 2050, 24
    )
    assert n_parameters(model) == expected


def test_bert_base_has_86_million_parameters() -> None:
    with torch.device("meta"):
        model = Bert(**shipped("bert_base"), n_codebooks=1, n_clusters=50, n_tokens=431, n_classes=527)
    assert n_parameters(model) == expected_n_parameters(12, 768, 512, 52, 527)
    assert round(n_parameters(model) / 1e6) == 86


def test_intermediate_size_of_none_is_four_times_the_width() -> None:
    assert n_parameters(build(intermediate_size=None)) == n_parameters(build(intermediate_size=64))


def test_intermediate_size_is_taken_as_given() -> None:
    assert build(intermediate_size=24).bert.encoder.layer[0].intermediate.dense.out_features == 24


# ---- refusals ----


def test_a_clip_may_fill_all_positions_but_that_of_cls() -> None:
    model = build(max_position_embeddings=10, n_tokens=9)
    assert model(random_tokens(), torch.tensor([9, 9, 9])).shape == (3, 5)


def test_too_few_positions_are_refused() -> None:
    sentence = r"^model\.max_position_embeddings=9 is smaller than the 9 tokens and \[CLS\] .*; raise it, or "
    with pytest.raises(UserError, match=sentence):
        build(max_position_embeddings=9, n_tokens=9)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    sentence = r"^model\.hidden_size=16 is not a multiple of model\.num_heads=3; change one\.$"
    with pytest.raises(UserError, match=sentence):
        build(num_heads=3)


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize(
    "key", ["num_layers", "hidden_size", "num_heads", "intermediate_size", "max_position_embeddings"]
)
def test_sizes_below_one_are_refused(key: str, value: int) -> None:
    with pytest.raises(UserError, match=rf"^model\.{key}={value} is .*; \w+.*\.$"):
        build(**{key: value})


@pytest.mark.parametrize("value", [-0.1, 1.5])
@pytest.mark.parametrize("key", ["dropout", "attention_dropout"])
def test_dropout_that_is_no_share_is_refused(key: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"^model\.{key}={value} is .*; \w+.*\.$"):
        build(**{key: value})


# ---- on a GPU ----


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@torch.no_grad()
def test_logits_on_the_gpu_equal_those_on_the_cpu() -> None:
    model = build(n_codebooks=2)
    tokens, n_tokens = random_tokens(n_codebooks=2), torch.tensor([9, 6, 1])
    expected = model(tokens, n_tokens)
    logits = model.cuda()(tokens.cuda(), n_tokens.cuda())
    torch.testing.assert_close(logits.cpu(), expected, rtol=1e-3, atol=1e-4)
