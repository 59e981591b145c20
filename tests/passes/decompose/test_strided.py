"""Strided kernels in the graph: all taps are the layer itself, every form is the dense layer that it stands for."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.layers.linear import linear_layers
from optimise_onnx.passes.decompose.strided import Strided, StridedForm
from optimise_onnx.passes.decompose.taps import explicit
from tests.oracle import distance, graph_of, oracle_error, some
from tests.passes.decompose.rewriting import check, conv_case, degenerate, moments, ops, statistics, walks, written

KERNELS = [(3, 3), (5, 5), (7, 7), (3, 5), (5,), (1, 3)]


@settings(max_examples=40, deadline=None)
@given(walk=walks())
def test_all_taps_are_the_layer_itself(walk: dict[str, Any]) -> None:
    case = conv_case(3, 4, **walk)
    assert case.layer.geometry is not None
    geometry = explicit(case.layer.geometry)
    if geometry is None:
        assert not Strided().forms(case.layer)
        return
    fitted = StridedForm(geometry, ((geometry.kernel, 3),)).fit(np.eye(case.layer.fan_in)[None], case.weight)
    np.testing.assert_allclose(fitted.matrix, case.weight, rtol=1e-9)
    graph, place = written(case, fitted)
    assert place.nodes == (case.layer.node,)
    assert distance(case.graph, graph, case.feeds) < 1e-5


@settings(max_examples=25, deadline=None)
@given(walk=walks(), bias=st.booleans())
def test_every_form_is_the_dense_layer(walk: dict[str, Any], bias: bool) -> None:
    case = conv_case(4, 3, bias=bias, **walk)
    cov, cross = statistics(case)
    for form in Strided().forms(case.layer):
        check(case, form, form.fit(cov, cross))


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_menu_is_small_and_ascending(kernel: tuple[int, ...]) -> None:
    layer = conv_case(16, 8, kernel, pads=[k // 2 for k in kernel] * 2).layer
    counts = [form.parameters(layer) for form in Strided().forms(layer)]
    assert counts == sorted(counts)
    assert 0 < len(counts) <= 12
    assert counts[-1] < layer.fan_in * layer.fan_out


@pytest.mark.parametrize(("kernel", "group"), [((1, 1), 1), ((3, 3), 2), ((3, 3, 3), 1)])
def test_other_layers_have_no_forms(kernel: tuple[int, ...], group: int) -> None:
    if group > 1:
        case = conv_case(4, 4, kernel)
        layer = type(case.layer)(**{**vars(case.layer), "groups": group})
    else:
        layer = conv_case(4, 4, kernel).layer
    assert not Strided().forms(layer)


def test_operators_are_few() -> None:
    case = conv_case(8, 6, (3, 3), pads=[1, 1, 1, 1])
    cov, cross = statistics(case)
    found = {form.text: ops(written(case, form.fit(cov, cross))[0]) for form in Strided().forms(case.layer)}
    assert found["strided 2x2 of 8 maps"] == ["Conv"]
    assert found["strided 3x3 of 4 maps + 1x1 of 4 maps"] == ["Add", "Conv", "Conv", "Gather", "Gather"]


@pytest.mark.parametrize("opset", [9, 17])
def test_without_padding_the_input_is_cropped(opset: int) -> None:
    case = conv_case(4, 3, (3, 3), opset=opset, strides=[2, 1])
    form = StridedForm(case.layer.geometry, (((1, 1), 4),))
    graph = check(case, form, form.fit(*statistics(case)))
    assert ops(graph)[0] == "Conv"
    assert set(ops(graph)) <= {"Conv", "Slice"}


def test_refit_keeps_the_taps_and_is_deterministic() -> None:
    case = conv_case(8, 4, (3, 3), pads=[1, 1, 1, 1])
    for form in Strided().forms(case.layer):
        first, again = form.fit(*statistics(case)), form.fit(*statistics(case))
        np.testing.assert_array_equal(first.matrix, again.matrix)
        other = first.refit(*statistics(case, seed=1))
        assert set(np.flatnonzero(other.matrix.any(2))) == set(np.flatnonzero(first.matrix.any(2)))
        np.testing.assert_array_equal(first.refit(*statistics(case)).matrix, first.matrix)


def test_channels_of_what_was_written_can_still_be_removed() -> None:
    case = conv_case(4, 3, (3, 3), pads=[1, 1, 1, 1])
    b = Builder("written")
    x = b.conv_relu(b.input("x", ["N", 3, 9, 9]), 4)
    model = b.model(b.head(b.conv_relu(x, 8)))
    graph = graph_of(model)
    layer = list(linear_layers(graph, analyse(graph).context.shapes).values())[1]
    for form in Strided().forms(layer):
        copy = graph.copy()
        form.fit(*statistics(case)[:1], np.ones((1, 36, 8))).write(copy, copy.node(layer.node), layer)
        channels = analyse(copy)
        assert channels.groups
        kept = some(channels, np.random.default_rng(0))
        assert oracle_error(copy, channels, kept, feeds(model, seed=0)) < 1e-5


@pytest.mark.parametrize("what", degenerate())
def test_singular_statistics_give_finite_weights(what: str) -> None:
    case = conv_case(4, 3, (3, 3), pads=[1, 1, 1, 1])
    x = degenerate()[what]
    for form in Strided().forms(case.layer):
        fitted = form.fit(*moments(x, x @ case.weight[0]))
        assert all(np.isfinite(weight).all() for weight in fitted.weights())
