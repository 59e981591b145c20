"""The arrays behind value numbering, against slow obvious versions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimise_onnx.passes.cleanup.rows import cluster, group_rows, leaders, refine, summed

SEEDS = st.integers(0, 2**32 - 1)


def partition(ids: np.ndarray) -> list[list[int]]:
    """The sets of equal ids."""
    return sorted(np.flatnonzero(ids == one).tolist() for one in np.unique(ids))


@given(SEEDS, st.integers(1, 5), st.integers(1, 7), st.integers(1, 3), st.booleans())
def test_summed_is_the_loop(seed: int, rows: int, columns: int, taps: int, plain: bool) -> None:
    rng = np.random.default_rng(seed)
    part = rng.standard_normal((rows, columns, taps)).astype(np.float32)
    place = rng.integers(0, columns, columns)
    factors = np.ones(columns) if plain else rng.uniform(0.5, 2, columns)
    expected = np.zeros((rows, columns, taps))
    for column in range(columns):
        expected[:, place[column]] += factors[column] * part[:, column]
    np.testing.assert_allclose(summed(part, place, factors, columns), expected, rtol=1e-12, atol=1e-12)


@given(SEEDS, st.integers(1, 30), st.integers(0, 3))
def test_cluster_is_equality(seed: int, rows: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    keys = rng.integers(0, 3, (rows, 2))
    values = rng.choice([0.0, 1.0, -2.5, 1e-3], (rows, width)) * (1 + 1e-8 * rng.standard_normal((rows, width)))
    exact = np.unique(np.concatenate([keys, np.round(values * 1e5).astype(int)], 1), axis=0, return_inverse=True)[1]
    assert partition(cluster(keys, values)) == partition(exact.ravel())


def test_values_further_apart_than_the_tolerance_are_split() -> None:
    values = np.array([[1.0], [1 + 5e-7], [1 + 1e-4], [-1.0], [np.nan], [np.nan]])
    assert partition(cluster(np.zeros((6, 1), np.int64), values)) == [[0, 1], [2], [3], [4], [5]]


def test_a_chain_of_near_values_does_not_drift() -> None:
    values = 1 + 0.9e-6 * np.arange(20.0)[:, None]
    ids = cluster(np.zeros((20, 1), np.int64), values)
    assert ids[0] != ids[19]


def test_leaders_and_refine_of_nothing() -> None:
    empty = np.zeros(0, np.int64)
    assert leaders(empty).size == refine(empty, np.zeros(0), np.zeros(0)).size == 0
    assert leaders(np.array([1, 0, 1])).tolist() == [1, 0]


@settings(deadline=None)
@given(SEEDS, st.integers(1, 3), st.integers(2, 6), st.integers(1, 6), st.integers(1, 4))
def test_rows_with_one_id_are_proportional_for_every_input(
    seed: int, groups: int, rows: int, columns: int, taps: int
) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-1, 2, (groups, rows, columns, taps)).astype(np.float32)
    bias = rng.integers(-1, 2, groups * rows).astype(np.float64)
    numbers, factors = rng.integers(0, 3, groups * columns), rng.choice([1.0, 2.0], groups * columns)
    ids, scale = group_rows(matrix, numbers, factors, bias)
    base = rng.standard_normal((3, taps))
    inputs = (factors[:, None] * base[numbers]).reshape(groups, columns, taps)
    outputs = np.einsum("goct,gct->go", matrix, inputs).ravel() + bias
    assert (scale > 0).all()
    for members in partition(ids):
        np.testing.assert_allclose(
            outputs[members] / scale[members], outputs[members[0]] / scale[members[0]], atol=1e-6
        )


def test_planted_rows_are_found_and_near_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((1, 8, 5, 9)).astype(np.float32)
    bias = rng.standard_normal(8)
    matrix[0, 3], bias[3] = matrix[0, 0], bias[0]
    matrix[0, 4], bias[4] = 0.37 * matrix[0, 0], 0.37 * bias[0]
    matrix[0, 5], bias[5] = -matrix[0, 0], -bias[0]
    matrix[0, 6], bias[6] = 2 * matrix[0, 0], bias[0]
    matrix[0, 7], bias[7] = matrix[0, 0], bias[0]
    matrix[0, 7, 2, 3] *= 1.0001
    ids, scale = group_rows(matrix, np.arange(5), np.ones(5), bias)
    assert partition(ids) == [[0, 3, 4], [1], [2], [5], [6], [7]]
    assert scale[4] / scale[0] == pytest.approx(0.37, rel=1e-6)


def test_rows_equal_only_after_adding_equal_inputs_are_found() -> None:
    matrix = np.array([[1.0, 2.0, 4.0], [3.0, 0.0, 4.0]], np.float32).reshape(1, 2, 3, 1)
    assert len(set(group_rows(matrix, np.array([7, 7, 8]), np.ones(3), np.zeros(2))[0])) == 1
    assert len(set(group_rows(matrix, np.array([7, 8, 9]), np.ones(3), np.zeros(2))[0])) == 2


def test_groups_that_read_different_values_are_not_compared() -> None:
    matrix = np.ones((2, 1, 2, 1), np.float32)
    assert len(set(group_rows(matrix, np.array([1, 2, 2, 1]), np.ones(4), np.zeros(2))[0])) == 1
    assert len(set(group_rows(matrix, np.array([1, 2, 1, 3]), np.ones(4), np.zeros(2))[0])) == 2


def test_zero_rows_go_by_their_bias() -> None:
    ids, scale = group_rows(
        np.zeros((1, 4, 2, 1), np.float32), np.arange(2), np.ones(2), np.array([2.0, 1.0, -1.0, 0.0])
    )
    assert partition(ids) == [[0, 1], [2], [3]] and scale.tolist() == [2, 1, 1, 1]
