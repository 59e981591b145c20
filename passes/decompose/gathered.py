"""Writing convolutions that read part of their input: Gather on channels, Slice on space, sums of several."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...ir.errors import PreconditionError
from ...ir.geometry import Geometry
from ...ir.graph import Array, Graph, Node, Tensor
from ..analysis.layers.linear import Linear, stored_weight

_SLICE_BY_INPUTS = 10
_LAST = np.iinfo(np.int64).max


def picked(graph: Graph, tensor: Tensor, channels: Array, width: int, before: Node) -> Tensor:
    """Take channels of a tensor that has ``width`` of them; the tensor itself where all are taken in order."""
    if np.array_equal(channels, np.arange(width)):
        return tensor
    out = graph.variable(f"{tensor.name}_picked", tensor.dtype)
    indices = graph.constant(f"{tensor.name}_channels", channels.astype(np.int64))
    graph.insert("Gather", [tensor, indices], [out], {"axis": 1}, before=before)
    return out


def cropped(graph: Graph, tensor: Tensor, walk: Geometry, before: Node) -> Tensor:
    """Cut off what the negative pads of a walk leave unread; the tensor itself where none is negative."""
    axes = [axis for axis, pads in enumerate(zip(walk.begin, walk.end, strict=True)) if min(pads) < 0]
    if not axes:
        return tensor
    cuts = {axis: slice(max(-walk.begin[axis], 0), min(walk.end[axis], 0) or None, 1) for axis in axes}
    return sliced(graph, tensor, cuts, before)


def sliced(graph: Graph, tensor: Tensor, cuts: Mapping[int, slice], before: Node) -> Tensor:
    """Slice spatial axes, the first of which is 0. Raises PreconditionError on steps in an opset without them."""
    out = graph.variable(f"{tensor.name}_cropped", tensor.dtype)
    starts, steps = [cut.start for cut in cuts.values()], [cut.step for cut in cuts.values()]
    ends = [_LAST if cut.stop is None else cut.stop for cut in cuts.values()]
    numbers = {"starts": starts, "ends": ends, "axes": [axis + 2 for axis in cuts]}
    if graph.opset >= _SLICE_BY_INPUTS:
        tables = {**numbers, "steps": steps}
        stored = [graph.constant(f"{out.name}_{name}", np.asarray(v, np.int64)) for name, v in tables.items()]
        graph.insert("Slice", [tensor, *stored], [out], before=before)
        return out
    if set(steps) != {1}:
        raise PreconditionError("a slice with steps needs opset 10", node_name=before.name, op_type=before.op)
    graph.insert("Slice", [tensor], [out], numbers, before=before)
    return out


def conv_attributes(walk: Geometry, groups: int = 1) -> dict[str, Any]:
    """Return a convolution's attributes; negative pads, which :func:`cropped` stands for, count as 0."""
    return {
        "kernel_shape": list(walk.kernel),
        "strides": list(walk.strides),
        "dilations": list(walk.dilations),
        "pads": [max(pad, 0) for pad in (*walk.begin, *walk.end)],
        "group": groups,
    }


def set_attributes(node: Node, wanted: Mapping[str, Any]) -> None:
    """Give a node these attributes and no others."""
    for name in node.attributes:
        node.set_attribute(name, None)
    for name, value in wanted.items():
        node.set_attribute(name, value)


def weight_constants(graph: Graph, node: Node, layer: Linear, weights: Sequence[Array]) -> list[Tensor]:
    """Store new weights in the element type of the layer's present one."""
    dtype = stored_weight(graph, node, layer).dtype
    return [graph.constant(f"{node.name}_weight", weight.astype(dtype)) for weight in weights]


def output_before(graph: Graph, node: Node, word: str) -> tuple[Tensor, Tensor]:
    """Let a node write to a new tensor; return that and the old output, which then has no producer."""
    out = node.outputs[0]
    inner = graph.variable(f"{out.name}_{word}", out.dtype)
    node.set_outputs([inner])
    return inner, out
