import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiotok.data.validation import Validation
from audiotok.errors import UserError

IDS = [f"clip-{n:05d}" for n in range(5000)]
fractions = st.floats(0, 1, exclude_max=True)


def chosen(ids: list[str], validation: Validation) -> set[str]:
    return {id_ for id_ in ids if validation.takes(id_)}


@given(st.lists(st.text(min_size=1), unique=True), fractions, st.integers(0, 2**31), st.randoms())
def test_side_of_a_clip_depends_on_its_id_alone(ids, fraction, seed, random):
    validation = Validation("", fraction, seed)
    whole = chosen(ids, validation)
    rest = random.sample(ids, len(ids) // 2)
    assert chosen(rest, Validation("", fraction, seed)) == whole & set(rest)


@given(st.text(min_size=1), fractions, fractions, st.integers(0, 2**31))
def test_larger_fraction_keeps_what_a_smaller_one_took(id_, one, other, seed):
    smaller, larger = sorted((one, other))
    assert Validation("", smaller, seed).takes(id_) <= Validation("", larger, seed).takes(id_)


def test_sides_are_the_same_in_another_process():
    code = (
        "from audiotok.data.validation import Validation;"
        "v = Validation('', 0.5, 3); print(*(n for n in range(100) if v.takes(f'clip-{n:05d}')))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    here = Validation("", 0.5, 3)
    assert output.split() == [str(n) for n in range(100) if here.takes(f"clip-{n:05d}")]


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1])
def test_fraction_holds_within_four_standard_deviations(fraction, seed):
    deviation = np.sqrt(fraction * (1 - fraction) / len(IDS))
    share = len(chosen(IDS, Validation("", fraction, seed))) / len(IDS)
    assert share == pytest.approx(fraction, abs=4 * deviation)


def test_seeds_choose_independently():
    both = chosen(IDS, Validation("", 0.5, 0)) & chosen(IDS, Validation("", 0.5, 1))
    assert len(both) / len(IDS) == pytest.approx(0.25, abs=0.03)


def test_first_characters_decide():
    validation = Validation("ABCDEF", 0.0, 0)
    assert chosen(["Axy", "Fxy", "Gxy", "axy", "-Axy", "xyA"], validation) == {"Axy", "Fxy"}


def test_first_characters_may_be_a_hyphen_or_an_underscore():
    assert chosen(["-a", "_a", "a-"], Validation("-_", 0.0, 0)) == {"-a", "_a"}


def test_neither_first_characters_nor_a_fraction_takes_nothing():
    assert chosen(IDS, Validation("", 0.0, 0)) == set()


def test_first_characters_and_a_fraction_together_are_refused():
    with pytest.raises(UserError) as raised:
        Validation("AB", 0.1, 0)
    message = str(raised.value)
    assert "data.validation.first_characters=AB" in message
    assert "data.validation.fraction=0.1" in message


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 10.0, float("nan")])
def test_fraction_that_is_no_share_is_refused(fraction):
    with pytest.raises(UserError, match=rf"data\.validation\.fraction={fraction} "):
        Validation("", fraction, 0)
