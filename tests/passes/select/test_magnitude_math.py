"""Magnitude scores against loops, and their invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optimise_onnx.ir.errors import NumericalError
from optimise_onnx.passes.select.magnitude_math import Member, scores


def _slow(members: list[Member], units: int, norm: int) -> np.ndarray:
    total = np.zeros(units)
    for member in members:
        values = {
            unit: np.linalg.norm(member.weight[member.block_of_row == unit].ravel().astype(np.float64), norm)
            for unit in range(units)
            if (member.block_of_row == unit).any()
        }
        for unit, value in values.items():
            total[unit] += value / np.mean(list(values.values()))
    return total


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), units=st.integers(1, 6), norm=st.sampled_from([1, 2]))
def test_scores_equal_loops(seed: int, units: int, norm: int) -> None:
    rng = np.random.default_rng(seed)
    members = [
        Member(rng.standard_normal((9, columns)).astype(np.float32), rng.integers(-1, units, size=9))
        for columns in (1, 4, 7)
    ]
    np.testing.assert_allclose(scores(members, units, norm=norm), _slow(members, units, norm), rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), factor=st.sampled_from([1e-6, 3.0, 1e6]))
def test_the_scale_of_a_member_does_not_matter(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    first, second, owner = rng.standard_normal((8, 3)), rng.standard_normal((8, 5)), np.repeat(np.arange(4), 2)
    plain = scores([Member(first, owner), Member(second, owner)], 4)
    scaled = scores([Member(first * factor, owner), Member(second, owner)], 4)
    np.testing.assert_allclose(scaled, plain, rtol=1e-10)
    assert plain.sum() == pytest.approx(8)


def test_zeros_are_the_least_important_and_add_nothing() -> None:
    owner = np.arange(3)
    weight = np.array([[1.0], [0.0], [-2.0]])
    found = scores([Member(weight, owner), Member(np.zeros((3, 2)), owner)], 3)
    assert found.tolist() == [1.0, 0.0, 2.0]
    assert scores([], 2).tolist() == [0.0, 0.0]
    assert scores([Member(weight, np.full(3, -1))], 2).tolist() == [0.0, 0.0]


def test_broken_input_is_refused() -> None:
    with pytest.raises(NumericalError, match="NaN or Inf"):
        scores([Member(np.array([[np.inf]]), np.array([0]))], 1)
    with pytest.raises(ValueError, match="norm"):
        scores([], 1, norm=3)
    with pytest.raises(ValueError, match="do not fit"):
        scores([Member(np.ones((2, 1)), np.array([0, 1]))], 1)
