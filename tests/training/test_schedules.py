from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiotok.errors import UserError
from audiotok.training.schedule import Constant, Cosine

warmups = pytest.mark.parametrize("warmup", [0.0, 0.1, 0.25, 0.5])
both = pytest.mark.parametrize(
    "make", [Constant, lambda warmup: Cosine(warmup, 0.1)], ids=["constant", "cosine"]
)


def curve(schedule: Constant | Cosine, n_steps: int = 200) -> list[float]:
    return [schedule.factor(step, n_steps) for step in range(n_steps + 1)]


@both
@warmups
def test_warm_up_rises_evenly_to_one(make, warmup):
    n_warmup = round(200 * warmup)
    rise = curve(make(warmup))[: n_warmup + 1]
    assert rise[-1] == 1
    steps = [after - before for before, after in pairwise(rise)]
    assert steps == pytest.approx([rise[0]] * n_warmup)


@both
@warmups
def test_the_first_step_already_trains(make, warmup):
    assert make(warmup).factor(0, 200) > 0


@warmups
def test_constant_stays_at_one_after_warm_up(warmup):
    assert set(curve(Constant(warmup))[round(200 * warmup) :]) == {1.0}


@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
@warmups
def test_cosine_ends_at_final(warmup, final):
    assert curve(Cosine(warmup, final))[-1] == pytest.approx(final, abs=1e-12)


@pytest.mark.parametrize("final", [0.0, 0.1])
@warmups
def test_cosine_falls_without_pause_after_warm_up(warmup, final):
    fall = curve(Cosine(warmup, final))[round(200 * warmup) :]
    assert all(after < before for before, after in pairwise(fall))


@pytest.mark.parametrize("final", [0.0, 0.2])
def test_cosine_is_halfway_down_in_the_middle(final):
    middle = Cosine(0.5, final).factor(150, 200)
    assert middle == pytest.approx((1 + final) / 2)


def test_cosine_stays_at_final_beyond_the_last_step():
    assert Cosine(0.1, 0.3).factor(500, 200) == pytest.approx(0.3)


@given(
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1),
    st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))),
)
def test_factors_lie_above_zero_and_not_above_one(warmup, final, at):
    for schedule in (Constant(warmup), Cosine(warmup, final)):
        assert 0 < schedule.factor(*at) <= 1


def test_torch_scales_the_learning_rate_by_the_factor():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = Cosine(0.2, 0.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule.factor(step, 10))
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([2 * schedule.factor(step, 10) for step in range(10)])
    assert rates[:3] == pytest.approx([2 / 3, 4 / 3, 2.0])


@both
@pytest.mark.parametrize("warmup", [-0.1, 1.0, 500])
def test_a_warm_up_that_is_no_share_is_refused(make, warmup):
    with pytest.raises(UserError, match=rf"^schedule\.warmup={warmup} .*; \w+.*\.$"):
        make(warmup)


@pytest.mark.parametrize("final", [-0.1, 1.5])
def test_a_final_factor_that_is_no_share_is_refused(final):
    with pytest.raises(UserError, match=rf"^schedule\.final={final} .*; \w+.*\.$"):
        Cosine(0.1, final)
