"""Fixed-point casts against integer arithmetic done the slow way."""

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optimise_onnx.backends.hls.fixed import Fixed

TYPES = st.builds(Fixed, st.integers(1, 24), st.integers(-6, 20), st.booleans(), st.booleans(), st.booleans())


def slowly(kind: Fixed, value: float) -> Fraction:
    """Count steps exactly, then wrap or saturate the integer."""
    step = Fraction(2) ** -kind.fraction
    count = floor(Fraction(value) / step + (Fraction(1, 2) if kind.rounds else 0))
    first = -(2 ** (kind.width - 1)) if kind.signed else 0
    last = first + 2**kind.width - 1
    count = min(max(count, first), last) if kind.saturates else (count - first) % 2**kind.width + first
    return count * step


@given(TYPES, st.lists(st.integers(-(2**30), 2**30).map(lambda n: n / 2**12), min_size=1, max_size=20))
def test_cast(kind: Fixed, values: list[float]) -> None:
    assert kind.cast(np.array(values)).tolist() == [float(slowly(kind, value)) for value in values]


def test_written_as_hls4ml_reads_it() -> None:
    assert str(Fixed(16, 6)) == "fixed<16,6>"
    assert str(Fixed(8, -2, signed=False, rounds=True, saturates=True)) == "ufixed<8,-2,RND,SAT>"
    assert str(Fixed(8, 3, saturates=True)) == "fixed<8,3,TRN,SAT>"
