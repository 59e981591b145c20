"""Kernel blocks: hidden ones are found, every form is the dense layer that it stands for, few operators are needed."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimise_onnx.passes.decompose.grouped import BlockForm, GroupedKernels
from optimise_onnx.passes.decompose.grouped_math import choose_maps, group_outputs, importance, solve_groups
from tests.passes.decompose.rewriting import (
    Floats,
    check,
    conv_case,
    degenerate,
    features,
    moments,
    ops,
    statistics,
    walks,
    written,
)


def _block_diagonal(outputs: Any, maps: Any, taps: int = 9) -> Floats:
    """Return a matrix (c * taps, m) of four dense blocks, outputs and maps in the given orders."""
    weight = np.zeros((len(maps), taps, len(outputs)))
    for out, read in zip(np.split(outputs, 4), np.split(maps, 4), strict=True):
        weight[np.ix_(read, np.arange(taps), out)] = np.random.default_rng(0).standard_normal(
            (len(read), taps, len(out))
        )
    return weight.reshape(len(maps) * taps, -1)


@settings(max_examples=12, deadline=None)
@given(walk=walks(), bias=st.booleans())
def test_every_form_is_the_dense_layer(walk: dict[str, Any], bias: bool) -> None:
    case = conv_case(8, 16, bias=bias, **walk)
    for form in GroupedKernels(multiple=1).forms(case.layer):
        check(case, form, form.fit(np.eye(case.layer.fan_in)[None], case.weight))


def test_fitted_forms_of_small_kernels_are_the_dense_layer() -> None:
    for kernel in ((1, 1), (3, 3)):
        case = conv_case(16, 8, kernel)
        for form in GroupedKernels(multiple=1).forms(case.layer):
            check(case, form, form.fit(*statistics(case)))


@pytest.mark.parametrize("seed", range(4))
def test_hidden_blocks_are_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = _block_diagonal(rng.permutation(16), rng.permutation(12))
    fitted = BlockForm((3, 3), 4, 3).fit(np.eye(108)[None], weight[None])
    np.testing.assert_allclose(fitted.matrix[0], weight, rtol=1e-9, atol=1e-12)


def test_blocks_in_order_need_no_gather() -> None:
    case = conv_case(8, 8, (3, 3))
    weight = _block_diagonal(np.arange(8), np.arange(8))[None]
    form = BlockForm((3, 3), 4, 2)
    assert ops(check(case, form, form.fit(np.eye(72)[None], weight))) == ["Conv"]


def test_operators_are_few() -> None:
    case = conv_case(8, 8, (3, 3))
    found = {
        form.text: ops(written(case, form.fit(*statistics(case)))[0])
        for form in GroupedKernels(multiple=1).forms(case.layer)
    }
    assert found["1 groups of 4 maps"] == ["Conv", "Gather"]
    assert found["4 groups of 4 maps"] == ["Conv", "Gather", "Gather"]


def test_importance_is_the_variance_of_each_kernel() -> None:
    rng = np.random.default_rng(0)
    x, weight = features(rng, 50, 12), rng.standard_normal((12, 5))
    found = importance(moments(x, x)[0][0], weight, 3)
    for o in range(5):
        for c in range(4):
            rows = slice(3 * c, 3 * c + 3)
            assert found[o, c] == pytest.approx(np.var(x[:, rows] @ weight[rows, o]))


def test_each_group_is_fitted_by_least_squares() -> None:
    rng = np.random.default_rng(1)
    x, y = features(rng, 80, 8), rng.standard_normal((80, 4))
    group, maps = np.array([0, 1, 1, 0]), np.array([[0, 2], [1, 2]])
    cov, cross = moments(x, y)
    found = solve_groups(cov[0], cross[0], group, maps, 2)
    for out, rows in enumerate(([0, 1, 4, 5], [2, 3, 4, 5], [2, 3, 4, 5], [0, 1, 4, 5])):
        wanted = np.linalg.lstsq(np.c_[x[:, rows], np.ones(80)], y[:, out])[0][:-1]
        np.testing.assert_allclose(found[rows, out], wanted, rtol=1e-6)
        assert np.count_nonzero(found[:, out]) == 4


def test_chosen_groups_and_maps_beat_random_ones() -> None:
    case = conv_case(16, 16, (3, 3))
    cov, cross = (array[0] for array in statistics(case, 2000))
    rng = np.random.default_rng(0)

    def value(group: Any, maps: Any) -> float:
        return float(np.vdot(solve_groups(cov, cross, group, maps, 9), cross))

    fitted = BlockForm((3, 3), 4, 4).fit(cov[None], cross[None])
    best = value(fitted.group, fitted.maps)
    for _ in range(20):
        group, maps = rng.permutation(np.arange(16) % 4), rng.permutation(16).reshape(4, 4)
        assert best > value(group, choose_maps(cov, cross, group, 4, 9)) > value(group, maps)


def test_groups_are_equal_and_numbered_as_they_come() -> None:
    group = group_outputs(np.random.default_rng(0).random((12, 9)), 3, 4, 4, np.random.default_rng(0))
    assert np.bincount(group).tolist() == [4, 4, 4]
    assert list(dict.fromkeys(group.tolist())) == [0, 1, 2]


@pytest.mark.parametrize("multiple", [1, 16])
@pytest.mark.parametrize(("inputs", "outputs"), [(64, 128), (16, 32), (3, 64), (1, 8), (7, 5)])
def test_the_menu_is_small_and_ascending(inputs: int, outputs: int, multiple: int) -> None:
    layer = conv_case(inputs, outputs, (3, 3)).layer
    forms = GroupedKernels(multiple).forms(layer)
    counts = [form.parameters(layer) for form in forms]
    assert counts == sorted(counts)
    assert len(set(forms)) == len(forms) <= 12
    assert all(count < layer.fan_in * layer.fan_out for count in counts)


def test_groups_come_in_multiples() -> None:
    layer = conv_case(64, 64, (3, 3)).layer
    sizes = {(form.groups, form.count) for form in GroupedKernels().forms(layer) if isinstance(form, BlockForm)}
    assert sizes == {(1, 16), (1, 32), (1, 48), (2, 32), (2, 48), (4, 16), (4, 32)}


def test_refit_keeps_the_blocks_and_is_deterministic() -> None:
    case = conv_case(8, 8, (3, 3))
    for form in GroupedKernels(multiple=1).forms(case.layer):
        first, again = form.fit(*statistics(case)), form.fit(*statistics(case))
        np.testing.assert_array_equal(first.matrix, again.matrix)
        other = first.refit(*statistics(case, seed=1))
        np.testing.assert_array_equal(other.matrix != 0, first.matrix != 0)
        np.testing.assert_array_equal(first.refit(*statistics(case)).matrix, first.matrix)


@pytest.mark.parametrize("what", degenerate())
def test_singular_statistics_give_finite_weights(what: str) -> None:
    case = conv_case(4, 8, (3, 3))
    x = degenerate()[what]
    for form in GroupedKernels(multiple=1).forms(case.layer):
        fitted = form.fit(*moments(x, x @ case.weight[0]))
        assert all(np.isfinite(weight).all() for weight in fitted.weights())
