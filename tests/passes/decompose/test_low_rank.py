"""Channel low rank: reduced-rank regression against raw samples, both orders, products, and rank by energy."""

from typing import Any

import numpy as np
import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.layers.forms import Family
from optimise_onnx.passes.decompose.low_rank import LowRank
from optimise_onnx.passes.decompose.low_rank_math import ordered, rank_for_energy, rank_grid, regression, spectrum
from optimise_onnx.passes.decompose.pairs import Pair, fit_pairs, full_rank
from optimise_onnx.passes.decompose.tap_split import TapSplit
from tests.passes.decompose.cases import (
    apart,
    as_dense,
    convolution,
    dense,
    loss,
    measured,
    plain,
    product,
    the_layer,
    written,
)
from tests.passes.decompose.test_stretch import check_cost

FAMILY: Family = LowRank()

CASES: dict[str, tuple[Graph, tuple[int, ...]]] = {
    "k x k": (convolution((3, 5), channels=(6, 10), pads=[1, 0, 2, 1], strides=[2, 1]), (11, 13)),
    "same": (convolution((3, 3), channels=(6, 10), auto_pad="SAME_LOWER", strides=[2, 2]), (11, 13)),
    "1 x 1": (convolution((1, 1), channels=(9, 10), strides=[2, 2]), (11, 13)),
    "1d": (convolution((3,), (17,), (6, 10), dilations=[2]), (17,)),
    "grouped": (convolution((3, 3), channels=(12, 10), group=2), (11, 13)),
    "gemm": (product("Gemm"), ()),
    "gemm transposed": (product("Gemm", transposed=True), ()),
    "matmul": (product("MatMul"), ()),
}


@pytest.mark.parametrize("name", CASES)
def test_written_pairs(name: str) -> None:
    graph, sizes = CASES[name]
    layer = the_layer(graph)
    weight = dense(graph, layer)
    forms = LowRank().forms(layer)
    assert len({form.split for form in forms}) == (2 if layer.taps > 1 else 1)
    parameters = [form.parameters(layer) for form in forms]
    assert parameters == sorted(parameters)
    assert parameters[-1] < weight.size
    for form, fitted in zip(forms, fit_pairs(forms, *measured(weight)), strict=True):
        copy, names = written(graph, fitted, layer)
        assert names[-1] == layer.node
        assert apart(as_dense(graph, fitted, layer), copy) < 1e-5
        check_cost(graph, form, layer, sizes)
    for split in {form.split for form in forms}:
        whole = Pair(split, full_rank(layer, split), layer.transposed).fit(*plain(weight))
        assert apart(graph, written(graph, whole, layer)[0]) < 1e-4


@pytest.mark.parametrize("inputs, outputs", [(12, 5), (5, 12)])
def test_reduced_rank_regression_equals_an_svd_of_the_samples(inputs: int, outputs: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, inputs)) @ rng.standard_normal((inputs, inputs))
    y = x @ rng.standard_normal((inputs, outputs)) + rng.standard_normal((200, outputs))
    predicted = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    left, values, right = np.linalg.svd(predicted, full_matrices=False)
    cov, cross = x.T @ x / 200, x.T @ y / 200
    found = spectrum(cov, regression(cov, cross))
    np.testing.assert_allclose(found.energies[:5], values[:5] ** 2 / 200, rtol=1e-8)
    for rank in range(1, 6):
        (fitted,) = fit_pairs([Pair(TapSplit((), ()), rank)], cov[None], cross[None])
        brute = (left[:, :rank] * values[:rank]) @ right[:rank]
        np.testing.assert_allclose(x @ fitted.matrix[0], brute, atol=1e-7)


@pytest.mark.parametrize("axes", [(0, 1), ()])
def test_data_never_does_worse_than_the_truncated_svd(axes: tuple[int, ...]) -> None:
    weight = np.random.default_rng(0).standard_normal((1, 54, 8))
    cov, cross = measured(weight)
    forms = [Pair(TapSplit((3, 3), axes), rank) for rank in range(1, 7)]
    for aware, free in zip(fit_pairs(forms, cov, cross), fit_pairs(forms, *plain(weight)), strict=True):
        assert loss(aware.matrix, cov, cross, weight) <= loss(free.matrix, cov, cross, weight) + 1e-12


def _quantised() -> Graph:
    """A convolution whose stored codes pass through a dequantisation."""
    b = Builder("quantised")
    codes = b.const(b.rng.integers(-127, 128, (8, 6, 1, 1)).astype(np.int8))
    weight = b.node("DequantizeLinear", [codes, b.const(np.float32(0.01))])
    return graph_of(b.model(b.node("Conv", [b.input("x", ["N", 6, 5, 5]), weight])))


def _tokens() -> Graph:
    b = Builder("tokens")
    return graph_of(b.model(b.matmul(b.input("x", ["N", 7, 9]), 8)))


@pytest.mark.parametrize("graph", [_quantised(), _tokens()], ids=["quantised", "tokens"])
def test_full_rank_of_other_layers_is_exact(graph: Graph) -> None:
    layer = the_layer(graph)
    kernel = layer.geometry.kernel if layer.geometry is not None else ()
    split = TapSplit(kernel, tuple(range(len(kernel))))
    form = Pair(split, full_rank(layer, split))
    assert apart(graph, written(graph, form.fit(*plain(dense(graph, layer))), layer)[0]) < 1e-5


def test_macs_of_a_product_count_its_rows() -> None:
    graph = _tokens()
    layer = the_layer(graph)
    check_cost(graph, LowRank().forms(layer)[1], layer, (7,))


def test_where_it_does_not_apply() -> None:
    b = Builder("left")
    left = graph_of(b.model(b.node("MatMul", [b.weight([6, 5]), b.input("x", [5, 7])])))
    for graph in (convolution((3, 3), channels=(4, 4), group=4), left):
        assert not FAMILY.forms(the_layer(graph))


def test_another_basis_of_the_same_product() -> None:
    rng = np.random.default_rng(0)
    root = rng.standard_normal((9, 4))
    first, second = rng.standard_normal((9, 3)), rng.standard_normal((3, 7))
    turned = ordered(root @ root.T, first, second)
    np.testing.assert_allclose(turned[0] @ turned[1], first @ second, atol=1e-9)


@pytest.mark.parametrize("share, rank", [(0.0, 1), (0.5, 1), (0.6, 2), (0.9, 3), (1.0, 4)])
def test_rank_for_energy(share: float, rank: int) -> None:
    assert rank_for_energy(np.array([5.0, 3.0, 1.5, 0.5]), share) == rank


def test_rank_for_no_energy() -> None:
    assert rank_for_energy(np.zeros(3), 0.9) == 1


@pytest.mark.parametrize("limit", [0, 1, 16, 17, 400])
def test_rank_grid(limit: int) -> None:
    found = list(rank_grid(limit))
    assert found == sorted(set(found))
    assert len(found) <= 24
    assert not limit or (found[0], found[-1]) == (1, limit)


def test_text_tells_forms_apart() -> None:
    forms: list[Any] = [*LowRank().forms(the_layer(CASES["k x k"][0]))]
    assert {"3x5 then 1x1, rank 1", "1x1 then 3x5, rank 1"} <= {form.text for form in forms}
    assert LowRank().forms(the_layer(CASES["gemm"][0]))[1].text == "two products, rank 2"
