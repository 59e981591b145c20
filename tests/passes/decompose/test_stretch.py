"""Spatial pairs in the graph: exact at full rank for every way a convolution walks, and costs as counted."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimise_onnx.ir.cost import cost, total
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.layers.forms import Family
from optimise_onnx.passes.analysis.layers.linear import Linear
from optimise_onnx.passes.decompose.pairs import Pair, fit_pairs, full_rank
from optimise_onnx.passes.decompose.stretch import Stretch, spatial_splits
from tests.passes.decompose.cases import apart, as_dense, convolution, dense, loss, measured, plain, the_layer, written

KERNELS = [(3, 3), (5, 5), (7, 7), (3, 5), (2, 4)]
FAMILY: Family = Stretch()


def check_cost(graph: Graph, form: Pair, layer: Linear, sizes: tuple[int, ...]) -> None:
    """What the form says it costs is what is counted on the written graph, the bias left out."""
    fitted = form.fit(*plain(dense(graph, layer)))
    copy, names = written(graph, fitted, layer)
    counted = total({name: found for name, found in cost(copy).items() if name in names})
    bias = layer.groups * layer.fan_out if len(copy.node(names[-1]).inputs) > 2 else 0
    assert form.macs(layer, sizes) == counted.macs
    assert form.parameters(layer) == counted.parameters - bias == sum(w.size for w in fitted.weights())
    for name, weight in zip(names, fitted.weights(), strict=True):
        np.testing.assert_allclose(copy.node(name).inputs[1].array, weight, rtol=1e-6)


@st.composite
def walks(draw: st.DrawFn) -> dict[str, Any]:
    """Attributes of a convolution over 19 x 23 values."""
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3)).map(list)
    found: dict[str, Any] = {"strides": draw(pairs), "dilations": draw(pairs)}
    mode = draw(st.sampled_from(["", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    if mode.startswith("SAME"):
        found["dilations"] = [1, 1]  # onnxruntime refuses other dilations together with SAME
    return found | ({"auto_pad": mode} if mode else {"pads": draw(st.lists(st.integers(0, 3), min_size=4, max_size=4))})


@settings(max_examples=60, deadline=None)
@given(walks(), st.sampled_from(KERNELS), st.sampled_from([1, 1, 2]), st.booleans())
def test_full_rank_is_exact(walk: dict[str, Any], kernel: tuple[int, int], groups: int, rows_first: bool) -> None:
    graph = convolution(kernel, (19, 23), group=groups, **walk)
    layer = the_layer(graph)
    split = spatial_splits(kernel)[rows_first]
    form = Pair(split, full_rank(layer, split))
    fitted = form.fit(*plain(dense(graph, layer)))
    np.testing.assert_allclose(fitted.matrix, dense(graph, layer), atol=1e-9)
    assert apart(graph, written(graph, fitted, layer)[0]) < 1e-4
    check_cost(graph, form, layer, (19, 23))


@pytest.mark.parametrize("attributes", [{}, {"strides": [2, 1], "pads": [1, 0, 2, 1]}, {"auto_pad": "SAME_UPPER"}])
@pytest.mark.parametrize("channels, groups", [((4, 6), 1), ((6, 9), 3), ((5, 5), 5)])
def test_the_pair_is_the_layer_it_stands_for(
    attributes: dict[str, Any], channels: tuple[int, int], groups: int
) -> None:
    graph = convolution((3, 5), channels=channels, group=groups, **attributes)
    layer = the_layer(graph)
    cov, cross = measured(dense(graph, layer))
    forms = Stretch().forms(layer)
    assert forms
    for form, fitted in zip(forms, fit_pairs(forms, cov, cross), strict=True):
        copy, names = written(graph, fitted, layer)
        assert apart(as_dense(graph, fitted, layer), copy) < 1e-5
        assert names[-1] == layer.node
        assert copy.node(names[-1]).outputs[0].name == layer.output
        check_cost(graph, form, layer, (11, 13))


@pytest.mark.parametrize("strides", [[1, 1], [2, 2], [1, 2]])
def test_forms_save_and_come_in_order(strides: list[int]) -> None:
    graph = convolution((3, 3), (32, 32), (16, 48), strides=strides, pads=[1] * 4)
    layer = the_layer(graph)
    forms = Stretch().forms(layer)
    parameters = [form.parameters(layer) for form in forms]
    before = total(cost(graph))
    assert parameters == sorted(parameters)
    assert {form.split for form in forms} == set(spatial_splits((3, 3)))
    assert all(form.parameters(layer) < before.parameters - 48 for form in forms)
    assert all(form.macs(layer, (32, 32)) <= before.macs for form in forms)
    assert len({form.text for form in forms}) == len(forms)


def test_where_it_does_not_apply() -> None:
    for graph in (
        convolution((1, 1)),
        convolution((3, 1)),
        convolution((3,), (11,)),
        convolution((3, 3), channels=(4, 8), group=4),
    ):
        assert not FAMILY.forms(the_layer(graph))


def test_three_axes_split_between_them() -> None:
    graph = convolution((3, 2, 3), (5, 6, 7), strides=[1, 2, 1])
    layer = the_layer(graph)
    for split in spatial_splits((3, 2, 3)):
        fitted = Pair(split, full_rank(layer, split)).fit(*plain(dense(graph, layer)))
        assert apart(graph, written(graph, fitted, layer)[0]) < 1e-4


def test_depthwise_strides_first() -> None:
    layer = the_layer(convolution((3, 3), channels=(5, 5), group=5, strides=[1, 2]))
    (form,) = Stretch().forms(layer)
    assert form.text == "1x3 then 3x1, rank 1"


def test_data_never_does_worse_than_the_truncated_svd() -> None:
    graph = convolution((3, 3), channels=(6, 8))
    layer = the_layer(graph)
    weight = dense(graph, layer)
    for seed in range(4):
        cov, cross = measured(weight, seed)
        forms = Stretch().forms(layer)
        aware, free = fit_pairs(forms, cov, cross), fit_pairs(forms, *plain(weight))
        losses = [[loss(one.matrix, cov, cross, weight) for one in fitted] for fitted in (aware, free)]
        assert (np.array(losses[0]) <= np.array(losses[1]) + 1e-12).all()


def test_refit_follows_new_statistics() -> None:
    graph = convolution((3, 3), channels=(6, 8))
    layer = the_layer(graph)
    weight = dense(graph, layer)
    fitted = Stretch().forms(layer)[5].fit(*measured(weight))
    cov, cross = measured(weight, 1)
    again = fitted.refit(cov, cross)
    assert again.form == fitted.form
    assert loss(again.matrix, cov, cross, weight) < loss(fitted.matrix, cov, cross, weight)
    np.testing.assert_array_equal(again.matrix, fitted.refit(cov, cross).matrix)


def test_another_reader_of_the_weight_sees_no_change() -> None:
    graph = convolution((3, 3), channels=(6, 6))
    layer = the_layer(graph)
    shared = graph.node(layer.node).inputs[1]
    before = shared.array.copy()
    graph.insert("Identity", [shared], [extra := graph.variable("extra", np.float32)])
    graph.set_outputs([*graph.outputs, extra])
    copy, _ = written(graph, Stretch().forms(layer)[0].fit(*plain(dense(graph, layer))), layer)
    np.testing.assert_array_equal(copy.tensors()[shared.name].array, before)
