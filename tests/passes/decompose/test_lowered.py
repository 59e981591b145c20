"""Lowered convolutions: all rows are the layer itself, fewer are the dense layer that they stand for."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimise_onnx.ir.errors import PreconditionError
from optimise_onnx.passes.decompose.lowered import Lowered
from tests.oracle import distance
from tests.passes.decompose.rewriting import check, conv_case, degenerate, moments, ops, statistics, walks, written


@settings(max_examples=40, deadline=None)
@given(walk=walks())
def test_all_rows_are_the_layer_itself(walk: dict[str, Any]) -> None:
    case = conv_case(3, 4, **walk)
    for form in Lowered(shares=(1.0,)).forms(case.layer):
        fitted = form.fit(np.eye(case.layer.fan_in)[None], case.weight)
        assert distance(case.graph, written(case, fitted)[0], case.feeds) < 1e-5


@settings(max_examples=12, deadline=None)
@given(walk=walks(), bias=st.booleans())
def test_every_form_is_the_dense_layer(walk: dict[str, Any], bias: bool) -> None:
    case = conv_case(4, 3, bias=bias, **walk)
    for form in Lowered().forms(case.layer):
        check(case, form, form.fit(np.eye(case.layer.fan_in)[None], case.weight))


def test_single_rows_explain_more_than_taps_of_all_maps() -> None:
    case = conv_case(8, 4, (3, 3), pads=[1, 1, 1, 1])
    cov, cross = statistics(case)
    fitted = Lowered(shares=(1 / 9,)).forms(case.layer)[0].fit(cov, cross)
    middle = np.arange(4, 72, 9)
    best = np.vdot(cross[0][middle], np.linalg.solve(cov[0][np.ix_(middle, middle)], cross[0][middle]))
    assert np.vdot(fitted.matrix, cross) > best


def test_one_tap_needs_no_joining() -> None:
    case = conv_case(4, 3, (1, 1), bias=False)
    form = Lowered(shares=(0.5,)).forms(case.layer)[0]
    graph = check(case, form, form.fit(*statistics(case)))
    assert ops(graph) == ["Add", "Gather", "MatMul", "Slice", "Transpose", "Transpose"]


def test_old_opsets_have_no_strided_slice() -> None:
    case = conv_case(4, 3, (3, 3), opset=9, pads=[1, 1, 1, 1])
    form = Lowered().forms(case.layer)[0]
    check(case, form, form.fit(*statistics(case)))
    case = conv_case(4, 3, (3, 3), opset=9, strides=[2, 2])
    fitted = Lowered().forms(case.layer)[0].fit(*statistics(case))
    with pytest.raises(PreconditionError):
        written(case, fitted)


@pytest.mark.parametrize("what", degenerate())
def test_singular_statistics_give_finite_weights(what: str) -> None:
    case = conv_case(4, 3, (3, 3))
    x = degenerate()[what]
    for form in Lowered().forms(case.layer):
        fitted = form.fit(*moments(x, x @ case.weight[0]))
        assert np.isfinite(fitted.weights()[0]).all()
