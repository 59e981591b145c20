"""Costs that add up, by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from optimise_onnx.passes.select.additive import rounds_by_cost, unit_costs
from optimise_onnx.passes.select.magnitude import magnitude, magnitude_l1
from tests.passes.select.support import Array, reader


def test_costs_by_hand() -> None:
    weight = np.array([[1.0, 0], [0, 2], [-2, 0], [0, 1]])
    unit = np.array([0, 1, 1, -1])
    np.testing.assert_allclose(unit_costs([weight], [unit], [None], 2), [0.1, 0.8])
    np.testing.assert_allclose(unit_costs([weight], [unit], [None], 2, power=1), [1 / 6, 4 / 6])
    np.testing.assert_allclose(unit_costs([weight], [unit], [np.array([4, 1, 0, 1.0])], 2), [4 / 9, 4 / 9])
    np.testing.assert_allclose(unit_costs([weight, 3 * weight], [unit, unit], [None, None], 2), [0.2, 1.6])
    np.testing.assert_allclose(unit_costs([0 * weight], [unit], [None], 2), [0, 0])


def test_norms_differ() -> None:
    """One large weight against several small ones."""
    one, rng = reader(np.array([[2.0, 0, 0], [1, 1, 1]]), np.arange(2)), np.random.default_rng(0)
    assert magnitude([one], (1, 2), rng)[0].ravel().tolist() == [1, 0]
    assert magnitude_l1([one], (1, 2), rng)[0].ravel().tolist() == [0, 1]


@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.floats(0, 9)))
def test_rounds_take_the_cheapest_of_each_cell(costs: Array) -> None:
    order, curve = rounds_by_cost(costs.ravel(), len(costs))
    assert order.shape == costs.T.shape and len(curve) == costs.shape[1] + 1
    np.testing.assert_array_equal(np.sort(order, axis=0), np.arange(costs.size).reshape(costs.shape).T)
    taken = costs.ravel()[order]
    assert (np.diff(taken, axis=0) >= 0).all()
    np.testing.assert_allclose(np.diff(curve), taken.sum(1), atol=1e-12)


def test_of_equals_the_last_goes_first() -> None:
    order, _ = rounds_by_cost(np.array([1.0, 0, 0, 1]), 1)
    assert order.ravel().tolist() == [2, 1, 3, 0]
