"""Arguments of data movement over operator sets: as attributes, as inputs, left out, from the back, computed."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from optimise_onnx.ir.arguments import (
    Padding,
    axes,
    axis,
    clip_bounds,
    padding,
    permutation,
    reduced_axes,
    reshape_target,
    shape_span,
    spans,
)
from optimise_onnx.ir.geometry import geometry
from optimise_onnx.ir.graph import Graph, Node

Reader = Callable[..., Any]


def made(op: str, opset: int, *given: Any, **attributes: Any) -> Node:
    """Make a node of x and further inputs: numbers are stored, None is omitted, a word is computed elsewhere."""
    graph = Graph.empty(opset)
    inputs = [graph.variable("x", np.float32)]
    for value in given:
        if value is None or isinstance(value, str):
            inputs.append(graph.variable(value or "y"))
            if value is None:
                inputs[-1]._raw.name = ""
        else:
            inputs.append(graph.constant("stored", np.asarray(value)))
    return graph.insert(op, inputs, [graph.variable("out")], attributes)


SLICES: Mapping[str, tuple[Node, dict[int, slice] | None]] = {
    "attributes": (made("Slice", 9, starts=[1, 0], ends=[3, 9], axes=[-1, 0]), {3: slice(1, 3, 1), 0: slice(0, 9, 1)}),
    "attributes without axes": (made("Slice", 9, starts=[1], ends=[3]), {0: slice(1, 3, 1)}),
    "inputs": (made("Slice", 13, [4], [-9], [-2], [-1]), {2: slice(4, -9, -1)}),
    "inputs without axes": (made("Slice", 10, [1, 2], [3, 4]), {0: slice(1, 3, 1), 1: slice(2, 4, 1)}),
    "steps without axes": (made("Slice", 13, [1], [9], None, [2]), {0: slice(1, 9, 2)}),
    "computed end": (made("Slice", 13, [1], "end", [1]), None),
    "computed steps": (made("Slice", 13, [1], [2], [1], "steps"), None),
}


@pytest.mark.parametrize("case", SLICES)
def test_spans_of_a_slice(case: str) -> None:
    node, wanted = SLICES[case]
    assert spans(node, 9 if node.attributes else 13, 4) == wanted


def test_a_slice_backwards_past_the_front_takes_the_first_entry_too() -> None:
    span = spans(made("Slice", 13, [-1], [np.iinfo(np.int64).min], [0], [-2]), 13, 1)
    assert span is not None
    assert np.arange(5)[span[0]].tolist() == [4, 2, 0]


PADS: Mapping[str, tuple[Node, int, Padding | None]] = {
    "attributes": (
        made("Pad", 2, pads=[0, 1, 2, 3], mode="edge", value=2.0),
        10,
        Padding("edge", [(0, 2), (1, 3)], 2.0),
    ),
    "inputs": (made("Pad", 11, [0, -1, 2, 3], 5.0), 11, Padding("constant", [(0, 2), (-1, 3)], 5.0)),
    "no value": (made("Pad", 13, [0, 1, 2, 3]), 13, Padding("constant", [(0, 2), (1, 3)], 0.0)),
    "axes": (made("Pad", 18, [1, 2], None, [-1]), 18, Padding("constant", [(0, 0), (1, 2)], 0.0)),
    "computed value": (made("Pad", 13, [0, 1, 2, 3], "value"), 13, Padding("constant", [(0, 2), (1, 3)], None)),
    "computed widths": (made("Pad", 13, "widths", 5.0), 13, None),
    "computed axes": (made("Pad", 18, [1, 2], None, "axes"), 18, None),
}


@pytest.mark.parametrize("case", PADS)
def test_padding(case: str) -> None:
    node, opset, wanted = PADS[case]
    assert padding(node, opset, 2) == wanted


TARGETS: Mapping[str, tuple[Node, list[int] | None]] = {
    "zero copies": (made("Reshape", 13, [0, -1, 6]), [2, -1, 6]),
    "zero is zero": (made("Reshape", 14, [0, 4], allowzero=1), [0, 4]),
    "computed": (made("Reshape", 14, "target"), None),
}


@pytest.mark.parametrize("case", TARGETS)
def test_target_of_a_reshape(case: str) -> None:
    node, wanted = TARGETS[case]
    assert reshape_target(node, 14, (2, 3, 4)) == wanted


AXES: Mapping[str, tuple[Node, int, list[int] | None]] = {
    "attribute": (made("Unsqueeze", 11, axes=[-1, 0]), 11, [-1, 0]),
    "input": (made("Squeeze", 13, [2, -1]), 13, [2, -1]),
    "none": (made("Squeeze", 13), 13, []),
    "computed": (made("Unsqueeze", 13, "axes"), 13, None),
}


@pytest.mark.parametrize("case", AXES)
def test_axes(case: str) -> None:
    node, opset, wanted = AXES[case]
    assert axes(node, opset) == wanted


REDUCED: Mapping[str, tuple[Node, int, list[int] | None]] = {
    "attribute": (made("ReduceMean", 13, axes=[-1, 1]), 13, [3, 1]),
    "input": (made("ReduceMean", 18, [-2]), 18, [2]),
    "all": (made("ReduceMean", 18), 18, [0, 1, 2, 3]),
    "nothing": (made("ReduceMean", 18, noop_with_empty_axes=1), 18, []),
    "nothing, given": (made("ReduceSum", 13, np.zeros(0, np.int64), noop_with_empty_axes=1), 13, []),
    "computed": (made("ReduceSum", 13, "axes"), 13, None),
    "one": (made("ArgMax", 13, axis=-1), 13, [3]),
    "first": (made("ArgMin", 13), 13, [0]),
}


@pytest.mark.parametrize("case", REDUCED)
def test_axes_of_a_reduction(case: str) -> None:
    node, opset, wanted = REDUCED[case]
    assert reduced_axes(node, opset, 4) == wanted


AXIS: Mapping[str, tuple[Node, int]] = {
    "from the back": (made("Concat", 13, axis=-1), 3),
    "of a Gather": (made("Gather", 13, [0]), 0),
    "of a Split": (made("Split", 13), 0),
    "of a Flatten": (made("Flatten", 13), 1),
    "of a dequantisation": (made("DequantizeLinear", 13, 0.5), 1),
}


@pytest.mark.parametrize("case", AXIS)
def test_axis_and_its_default(case: str) -> None:
    node, wanted = AXIS[case]
    assert axis(node, 13, 4) == wanted


def test_permutation_is_reversed_by_default() -> None:
    assert permutation(made("Transpose", 13), 13, 3) == [2, 1, 0]
    assert permutation(made("Transpose", 13, perm=[0, 2, 1]), 13, 3) == [0, 2, 1]


@pytest.mark.parametrize(
    ("attributes", "wanted"), [({}, [0, 1, 2]), ({"start": -1}, [2]), ({"start": 1, "end": -1}, [1])]
)
def test_dimensions_that_a_shape_gives(attributes: dict[str, int], wanted: list[int]) -> None:
    assert list(range(3))[shape_span(made("Shape", 15, **attributes), 15)] == wanted


BOUNDS: Mapping[str, tuple[Node, int, tuple[float, float] | None]] = {
    "attributes": (made("Clip", 6, min=0.0, max=6.0), 6, (0.0, 6.0)),
    "one attribute": (made("Clip", 6, min=0.0), 6, (0.0, np.inf)),
    "inputs": (made("Clip", 13, np.float32(-1), np.float32(1)), 13, (-1.0, 1.0)),
    "one input": (made("Clip", 13, None, np.float32(1)), 13, (-np.inf, 1.0)),
    "largest float": (made("Clip", 13, np.float32(0), np.finfo(np.float32).max), 13, (0.0, np.inf)),
    "computed": (made("Clip", 13, np.float32(0), "most"), 13, None),
}


@pytest.mark.parametrize("case", BOUNDS)
def test_bounds_of_a_clip(case: str) -> None:
    node, opset, wanted = BOUNDS[case]
    assert clip_bounds(node, opset) == wanted


def test_other_readers_of_values_are_asked() -> None:
    node = made("Slice", 13, "starts", [3])
    found = spans(node, 13, 1, lambda tensor: tensor.array if tensor.is_constant else np.array([1]))
    assert found == {0: slice(1, 3, 1)}


def test_geometry_of_a_window() -> None:
    walk = geometry(made("Conv", 13, strides=[2, 1], pads=[1, 0, 2, 0]), 13, (3, 3))
    assert (walk.kernel, walk.strides, walk.dilations) == ((3, 3), (2, 1), (1, 1))
    assert walk.pads((8, 8)) == ((1, 0), (2, 0))
    assert walk.may_pad


@pytest.mark.parametrize(
    ("mode", "pads"), [("SAME_UPPER", ((0,), (1,))), ("SAME_LOWER", ((1,), (0,))), ("VALID", ((0,), (0,)))]
)
def test_automatic_padding_goes_by_the_size(mode: str, pads: tuple[tuple[int], tuple[int]]) -> None:
    walk = geometry(made("MaxPool", 13, auto_pad=mode, strides=[2]), 13, (3,))
    assert walk.pads((8,)) == pads
    assert walk.may_pad == (mode != "VALID")


def test_a_window_of_one_place_never_pads_itself() -> None:
    assert not geometry(made("Conv", 13, auto_pad="SAME_UPPER", strides=[2]), 13, (1,)).may_pad
