import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from torch import Generator, Tensor
from torch.nn import functional as F

from audiotok.augment.words import MASKED
from audiotok.errors import UserError
from audiotok.training.objective import MaskedTokens

N_CODEBOOKS, N_CLUSTERS = 3, 7
shares = st.floats(0.02, 0.9)
spans = st.integers(1, 12)


def hide(
    objective: MaskedTokens, lengths: list[int], n_positions: int | None = None, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Return random tokens, what is left of them, and which positions are hidden."""
    shape = (len(lengths), n_positions or max(lengths), N_CODEBOOKS)
    tokens = torch.randint(N_CLUSTERS, shape, generator=Generator().manual_seed(9))
    masked, hidden = objective.mask(tokens, torch.tensor(lengths), Generator().manual_seed(seed))
    return tokens, masked, hidden


def runs_of(row: Tensor) -> list[int]:
    """Return how long each stretch of hidden positions is."""
    return [len(run) for run in "".join("x" if h else " " for h in row.tolist()).split()]


@given(share=st.floats(0.1, 0.8), span=st.sampled_from([1, 2, 3, 5, 10]))
def test_about_the_share_is_hidden_whatever_the_span(share, span):
    _, _, hidden = hide(MaskedTokens(share, span), [400] * 200)
    assert float(hidden.float().mean()) == pytest.approx(share, abs=0.03)


@given(
    share=shares,
    span=spans,
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    seed=st.integers(0, 99),
)
def test_every_clip_hides_something_and_no_padding(share, span, lengths, seed):
    _, masked, hidden = hide(MaskedTokens(share, span), lengths, n_positions=45, seed=seed)
    for row, clip, length in zip(hidden, masked, lengths, strict=True):
        assert row[:length].any()
        assert not row[length:].any()
        assert not (clip[length:] == MASKED).any()


@given(share=shares, span=spans, seed=st.integers(0, 99))
def test_hidden_are_all_codebooks_of_a_position_and_nothing_else_changes(share, span, seed):
    tokens, masked, hidden = hide(MaskedTokens(share, span), [30, 12, 1], seed=seed)
    assert hidden.dtype == torch.bool
    assert hidden.shape == tokens.shape[:2]
    assert (masked[hidden] == MASKED).all()
    assert torch.equal(masked[~hidden], tokens[~hidden])


@given(share=st.floats(0.02, 0.5), span=st.integers(2, 8), seed=st.integers(0, 99))
def test_what_is_hidden_are_spans(share, span, seed):
    _, _, hidden = hide(MaskedTokens(share, span), [60] * 4, seed=seed)
    for row in hidden:
        ended_by_the_clip = row[-1]
        assert all(n >= span for n in (runs_of(row)[:-1] if ended_by_the_clip else runs_of(row)))


def test_a_rare_span_has_its_length():
    _, _, hidden = hide(MaskedTokens(0.001, 4), [200] * 50)
    found = [n for row in hidden for n in runs_of(row)]
    assert np.median(found) == 4


def test_a_span_of_one_hides_positions_one_by_one():
    _, _, hidden = hide(MaskedTokens(0.3, 1), [1000] * 20)
    pairs = (hidden[:, 1:] & hidden[:, :-1]).float().mean()
    assert float(pairs) == pytest.approx(0.3**2, abs=0.01)


def test_every_position_is_hidden_sooner_or_later():
    _, _, hidden = hide(MaskedTokens(0.2, 3), [20] * 400)
    assert hidden.any(0).all()


def test_tokens_are_not_changed_in_place():
    tokens, masked, _ = hide(MaskedTokens(0.5, 3), [20, 20])
    expected = torch.randint(N_CLUSTERS, tokens.shape, generator=Generator().manual_seed(9))
    assert torch.equal(tokens, expected)
    assert masked.data_ptr() != tokens.data_ptr()


def test_one_seed_hides_the_same_and_another_seed_other_tokens():
    objective = MaskedTokens(0.4, 3)
    first, again, other = (hide(objective, [50] * 4, seed=seed)[2] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_clips_of_a_batch_hide_different_positions():
    _, _, hidden = hide(MaskedTokens(0.4, 3), [50] * 2)
    assert not torch.equal(hidden[0], hidden[1])


def test_only_the_generator_decides():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    hide(MaskedTokens(0.4, 3), [50] * 2)
    assert torch.equal(torch.get_rng_state(), state)


# ---- the loss ----


def logits_and_tokens() -> tuple[Tensor, Tensor]:
    generator = Generator().manual_seed(0)
    logits = 3 * torch.randn(20, N_CODEBOOKS, N_CLUSTERS, generator=generator)
    return logits, torch.randint(N_CLUSTERS, (20, N_CODEBOOKS), generator=generator)


def test_the_loss_is_scikit_learns_log_loss():
    logits, tokens = logits_and_tokens()
    probabilities = logits.double().softmax(-1).flatten(0, 1)
    expected = log_loss(tokens.flatten(), probabilities, labels=range(N_CLUSTERS))
    assert float(MaskedTokens(0.4, 3).loss(logits, tokens)) == pytest.approx(expected, rel=1e-5)


def test_logits_that_are_all_alike_lose_the_logarithm_of_the_number_of_clusters():
    _, tokens = logits_and_tokens()
    loss = MaskedTokens(0.4, 3).loss(torch.zeros(20, N_CODEBOOKS, N_CLUSTERS), tokens)
    assert float(loss) == pytest.approx(np.log(N_CLUSTERS), rel=1e-6)


def test_tokens_that_are_masked_already_are_not_asked_for():
    logits, tokens = logits_and_tokens()
    logits.requires_grad_()
    known = torch.rand(tokens.shape, generator=Generator().manual_seed(1)) < 0.6
    loss = MaskedTokens(0.4, 3).loss(logits, tokens.masked_fill(~known, MASKED))
    assert loss.item() == pytest.approx(F.cross_entropy(logits[known], tokens[known]).item(), rel=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert not logits.grad[~known].any()
    assert logits.grad[known].any(-1).all()


def test_where_all_tokens_are_masked_already_the_loss_is_nothing():
    logits, tokens = logits_and_tokens()
    logits.requires_grad_()
    loss = MaskedTokens(0.4, 3).loss(logits, torch.full_like(tokens, MASKED))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


# ---- what cannot work ----


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused_in_a_sentence(share):
    with pytest.raises(UserError) as refused:
        MaskedTokens(share, 3)
    assert str(refused.value).startswith(f"objective.share={share} is not a share; choose ")


@pytest.mark.parametrize("span", [0, -2])
def test_a_span_of_nothing_is_refused_in_a_sentence(span):
    with pytest.raises(UserError) as refused:
        MaskedTokens(0.4, span)
    assert str(refused.value) == f"objective.span={span} is too small; choose 1 or more."
