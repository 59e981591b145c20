"""Shape arithmetic on partly known values: arrays whose entries are ints, symbols of dimensions, or unknown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx.helper

from ...ir.arguments import axes, axis, reshape_target, shape_span, spans
from ...ir.graph import Array, Dim, Graph, Node, Tensor
from . import dimension

_SMALL = 1024


@dataclass(frozen=True)
class Known:
    """What is known of an integer tensor. ``entries``: object array of int, str (a dimension's symbol) or None."""

    entries: Array
    dtype: np.dtype[Any]

    @property
    def complete(self) -> bool:
        """Whether every entry is a number."""
        return all(isinstance(entry, int) for entry in self.entries.ravel())

    def array(self) -> Array:
        """Return the numbers of a complete value."""
        return self.entries.astype(self.dtype)


Shapes = Mapping[str, tuple[Dim, ...]]


@dataclass(frozen=True)
class _Call:
    node: Node
    opset: int
    shapes: Shapes
    found: Mapping[str, Known]

    @property
    def inputs(self) -> Sequence[Known | None]:
        """What is known of every input."""
        return [self.found.get(tensor.name) for tensor in self.node.inputs]

    def read(self, tensor: Tensor) -> Array | None:
        """Return the value of a tensor that is known completely."""
        value = self.found.get(tensor.name)
        return value.array() if value is not None and value.complete else None

    def whole(self, index: int) -> Known:
        """Return an input that must be complete; LookupError otherwise."""
        value = self.inputs[index]
        if value is None or not value.complete:
            raise LookupError(index)
        return value

    def part(self, index: int) -> Known:
        """Return an input of which something is known; LookupError otherwise."""
        value = self.inputs[index]
        if value is None:
            raise LookupError(index)
        return value


def shape_values(graph: Graph, shapes: Shapes) -> dict[str, Known]:
    """Return what is known of every small integer tensor, by one sweep in topological order.

    ``shapes`` come from :func:`ir.shapes.symbolic`. Two entries with the same symbol are equal for every input.
    """
    found: dict[str, Known] = {}
    for node in graph.nodes:
        for tensor in node.inputs:
            if tensor.is_constant and np.dtype(tensor.dtype).kind in "iub" and tensor.array.size <= _SMALL:
                found.setdefault(tensor.name, known(tensor.array))
        if node.op in _RULES and not node.domain:
            call = _Call(node, graph.opset, shapes, found)
            try:
                found[node.outputs[0].name] = _RULES[node.op](call)
            except LookupError:
                continue
    return found


def known(array: Array) -> Known:
    """Wrap a stored integer or boolean array."""
    entries = np.empty(array.shape, object)
    entries.ravel()[:] = [int(v) for v in array.ravel()]
    return Known(entries, array.dtype)


def _objects(values: Sequence[Dim]) -> Array:
    entries = np.empty(len(values), object)
    entries[:] = values
    return entries


def _dimensions(call: _Call) -> list[Dim]:
    name = call.node.inputs[0].name
    if name not in call.shapes:
        raise LookupError(name)
    return [None if isinstance(dim, int) and dim <= 0 else dim for dim in call.shapes[name]]


def _shape(call: _Call) -> Known:
    return Known(_objects(_dimensions(call)[shape_span(call.node, call.opset)]), np.dtype(np.int64))


def _size(call: _Call) -> Known:
    count: Dim = 1
    for dim in _dimensions(call):
        count = dimension.multiply(count, dim)
    entries = np.empty((), object)
    entries[()] = count
    return Known(entries, np.dtype(np.int64))


def _gather(call: _Call) -> Known:
    data, indices = call.part(0), call.whole(1)
    place = axis(call.node, call.opset, data.entries.ndim)
    taken = np.asarray(np.take(data.entries, indices.array().astype(np.int64), place), object)
    return Known(taken, data.dtype)


def _slice(call: _Call) -> Known:
    data = call.part(0)
    rank = data.entries.ndim
    taken = spans(call.node, call.opset, rank, call.read)
    if taken is None:
        raise LookupError("bounds")
    return Known(data.entries[tuple(taken.get(place, slice(None)) for place in range(rank))], data.dtype)


def _concat(call: _Call) -> Known:
    parts = [value or _unknown(call, i) for i, value in enumerate(call.inputs)]
    place = axis(call.node, call.opset, parts[0].entries.ndim)
    return Known(np.concatenate([part.entries for part in parts], place), parts[0].dtype)


def _unknown(call: _Call, index: int) -> Known:
    """Return an input of which only the length is known."""
    dims = call.shapes.get(call.node.inputs[index].name)
    if dims is None or len(dims) != 1 or not isinstance(dims[0], int):
        raise LookupError(index)
    return Known(_objects([None] * dims[0]), np.dtype(np.int64))


def _unsqueeze(call: _Call) -> Known:
    data = call.part(0)
    return Known(np.expand_dims(data.entries, _axes(call)), data.dtype)


def _squeeze(call: _Call) -> Known:
    data = call.part(0)
    return Known(np.squeeze(data.entries, _axes(call) or None), data.dtype)


def _axes(call: _Call) -> tuple[int, ...]:
    named = axes(call.node, call.opset, call.read)
    if named is None:
        raise LookupError("axes")
    return tuple(named)


def _reshape(call: _Call) -> Known:
    data = call.part(0)
    target = reshape_target(call.node, call.opset, data.entries.shape, call.read)
    if target is None:
        raise LookupError("target")
    return Known(data.entries.reshape(target), data.dtype)


def _cast(call: _Call) -> Known:
    data = call.part(0)
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(int(call.node.attribute("to", call.opset))))
    if dtype.kind not in "iu" or dtype.itemsize < 4:
        raise LookupError("type")
    return Known(data.entries, dtype)


def _same(call: _Call) -> Known:
    return call.part(0)


def _pairwise(rule: Callable[[Dim, Dim], Dim]) -> Callable[[_Call], Known]:
    apply = np.frompyfunc(rule, 2, 1)

    def run(call: _Call) -> Known:
        result = call.part(0)
        for index in range(1, len(call.inputs)):
            entries = np.asarray(apply(result.entries, call.part(index).entries), object)
            result = Known(entries, result.dtype)
        return Known(result.entries, np.dtype(bool)) if call.node.op == "Equal" else result

    return run


def _where(call: _Call) -> Known:
    chosen, yes, no = call.whole(0), call.part(1), call.part(2)
    return Known(np.where(chosen.entries.astype(bool), yes.entries, no.entries), yes.dtype)


def _range(call: _Call) -> Known:
    start, limit, delta = (int(call.whole(index).array()) for index in range(3))
    steps = range(start, limit, delta)
    if len(steps) > _SMALL:
        raise LookupError("length")
    return Known(_objects(list(steps)), call.whole(0).dtype)


def _constant_of_shape(call: _Call) -> Known:
    value = call.node.attribute("value", call.opset)
    form = tuple(int(size) for size in call.whole(0).array())
    if value is None or value.dtype.kind not in "iub" or int(np.prod(form)) > _SMALL:
        raise LookupError("value")
    return known(np.full(form, value.ravel()[0]))


_RULES: dict[str, Callable[[_Call], Known]] = {
    "Add": _pairwise(dimension.add),
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Div": _pairwise(dimension.divide),
    "Equal": _pairwise(dimension.equal),
    "Gather": _gather,
    "Identity": _same,
    "Max": _pairwise(dimension.greatest),
    "Min": _pairwise(dimension.least),
    "Mul": _pairwise(dimension.multiply),
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": _pairwise(dimension.subtract),
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
