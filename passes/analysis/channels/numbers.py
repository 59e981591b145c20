"""Numbers that a model computes from shapes while it runs: which entries of a list follow a channel count.

Every small list of integers carries an array of *entries*. A stored number is itself; a :class:`Read` is known at run
time only. An entry that depends on no channel count says nothing of channels, whatever else is read beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ....ir.arguments import axes, axis, permutation, reshape_target, shape_span, spans
from ....ir.graph import Array, Node, Tensor

if TYPE_CHECKING:
    from .labels import Propagation

_SMALL = 1024


@dataclass(frozen=True)
class Read:
    """A number known at run time. ``counts``: the tensors whose channel counts it depends on; ``copy``: it is that of
    the only one.
    """

    counts: frozenset[str] = frozenset()
    copy: bool = False


Entry = int | Read
_FREE = Read()


def entries(ctx: Propagation, tensor: Tensor) -> Array | None:
    """Return the entries of a list of integers, or of arithmetic on them; None of a larger tensor."""
    if tensor.is_constant:
        array = tensor.array
        return _objects(array) if array.dtype.kind in "iub" and array.size <= _SMALL else None
    form = ctx.shapes.get(tensor.name)
    if tensor.name not in ctx.numbers and form is not None and len(form) < 2 and prod(form) <= _SMALL:
        return np.full(form, _FREE, object)  # it is made of no shape
    return ctx.numbers.get(tensor.name)


def counts(values: Array | None) -> frozenset[str]:
    """Name the tensors whose channel counts some entries depend on."""
    found = () if values is None else (entry.counts for entry in values.ravel() if isinstance(entry, Read))
    return frozenset().union(*found)


def fixed(entry: Entry) -> bool:
    """Whether an entry is a stored number or just a channel count: a removal can tell what it has to become."""
    return isinstance(entry, int) or entry.copy


def follow(ctx: Propagation, node: Node) -> None:
    """Give a node's output its entries; keep every channel whose count ends in something that is no such arithmetic."""
    inputs = [tensor for tensor in node.inputs if tensor.name]
    values = [entries(ctx, tensor) for tensor in inputs]
    found = _shape(ctx, node) if node.op in ("Shape", "Size") and not node.domain else _followed(ctx, node, values)
    if found is not None and found.size <= _SMALL:
        ctx.numbers[node.outputs[0].name] = found
        return
    for tensor in (*inputs, *node.captures()):
        if tensor.name not in ctx.minded:
            keep(ctx, node, counts(entries(ctx, tensor)))


def keep(ctx: Propagation, node: Node, names: frozenset[str]) -> None:
    """Keep the channels of these tensors, whose counts a node uses."""
    for name in sorted(names & ctx.labels.keys()):
        why = f"the channel count of '{name}' is read at run time"
        ctx.pin(ctx.labels[name].atoms, node, why, "export with static channel sizes")


def _followed(ctx: Propagation, node: Node, values: list[Array | None]) -> Array | None:
    known = [value for value in values if value is not None]
    if node.domain or node.has_subgraphs or len(known) < len(values) or not known or len(node.outputs) != 1:
        return None
    if node.op in _MOVES:
        return _MOVES[node.op](ctx, node, known)
    if node.op not in _ARITHMETIC:
        return None
    result = known[0]
    for value in known[1:] or [np.zeros((), object)]:
        result = np.asarray(np.frompyfunc(_combined, 2, 1)(result, value), object)
    return result


def _combined(a: Entry, b: Entry) -> Read:
    return Read(frozenset().union(*(entry.counts for entry in (a, b) if isinstance(entry, Read))))


def _objects(array: Array) -> Array:
    found = np.empty(array.shape, object)
    found.ravel()[:] = [int(value) for value in array.ravel()]
    return found


def _shape(ctx: Propagation, node: Node) -> Array:
    """A channel count where that axis is asked for."""
    source = node.inputs[0]
    labels = ctx.of(source)
    dims = np.full(len(ctx.shapes.get(source.name, ())), _FREE, object)
    if labels.shrink is not None:
        dims[labels.shrink] = Read(frozenset({source.name}), True)
    if node.op == "Shape":
        return dims[shape_span(node, ctx.graph.opset)]
    found = np.empty((), object)
    found[()] = Read(counts(dims))
    return found


def _concat(ctx: Propagation, node: Node, values: list[Array]) -> Array | None:
    return np.concatenate(values, axis(node, ctx.graph.opset, values[0].ndim))


def _gather(ctx: Propagation, node: Node, values: list[Array]) -> Array | None:
    if not node.inputs[1].is_constant:
        return None
    place = int(node.attribute("axis", ctx.graph.opset, 0))
    return np.asarray(np.take(values[0], node.inputs[1].array.astype(np.int64), place), object)


def _slice(ctx: Propagation, node: Node, values: list[Array]) -> Array | None:
    taken = spans(node, ctx.graph.opset, values[0].ndim)
    return None if taken is None else values[0][tuple(taken.get(a, slice(None)) for a in range(values[0].ndim))]


def _squeeze(ctx: Propagation, node: Node, values: list[Array]) -> Array | None:
    named = axes(node, ctx.graph.opset)
    if named is None:
        return None
    return np.expand_dims(values[0], named) if node.op == "Unsqueeze" else np.squeeze(values[0], tuple(named) or None)


def _reshape(ctx: Propagation, node: Node, values: list[Array]) -> Array | None:
    target = reshape_target(node, ctx.graph.opset, values[0].shape)
    return None if target is None else values[0].reshape(target)


def _transpose(ctx: Propagation, node: Node, values: list[Array]) -> Array | None:
    return values[0].transpose(permutation(node, ctx.graph.opset, values[0].ndim))


def _same(_ctx: Propagation, _node: Node, values: list[Array]) -> Array | None:
    return values[0]


def _filled(ctx: Propagation, node: Node, values: list[Array]) -> Array | None:
    """As many equal numbers as were found to be."""
    form, kind = ctx.shapes.get(node.outputs[0].name), np.dtype(node.outputs[0].dtype or np.float32).kind
    if form is None or prod(form) > _SMALL or counts(values[0]) or kind not in "iub":
        return None
    value = node.attribute("value", ctx.graph.opset)
    return _objects(np.full(form, int(value.ravel()[0])))


def _where(_ctx: Propagation, node: Node, values: list[Array]) -> Array | None:
    if node.inputs[0].is_constant:
        return np.asarray(np.where(values[0].astype(bool), values[1], values[2]), object)
    total = Read(frozenset().union(*map(counts, values)))
    return np.full(np.broadcast_shapes(*(value.shape for value in values)), total, object)


_ARITHMETIC = frozenset(
    (
        "Add",
        "Ceil",
        "Div",
        "Equal",
        "Floor",
        "Greater",
        "Less",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Neg",
        "Not",
        "Round",
        "Sub",
    )
)
_MOVES: dict[str, Callable[[Propagation, Node, list[Array]], Array | None]] = {
    "Cast": _same,
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "Gather": _gather,
    "Identity": _same,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _squeeze,
    "Where": _where,
}


def tells(ctx: Propagation, tensor: Tensor, places: Sequence[int]) -> bool:
    """Whether these entries of a list are fixed and no other depends on channels: then the rule at work sees to it."""
    values = entries(ctx, tensor)
    if values is None or values.ndim != 1 or not all(fixed(values[place]) for place in places):
        return False
    if counts(np.delete(values, list(places))):
        return False
    ctx.minded.add(tensor.name)
    return True
