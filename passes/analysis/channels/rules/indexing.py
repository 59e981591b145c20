"""Slice and Gather: literal on the label arrays, with their lists of numbers rewritten."""

from math import prod

import numpy as np

from .....ir.arguments import axis as axis_of
from .....ir.arguments import spans as spans_of
from .....ir.graph import Array, Node, Tensor
from .....ir.shapes import Shape
from ..atoms import collapses
from ..labels import Labels, Propagation
from ..numbers import Read, counts, entries
from ..surgery import Surgery
from .elementwise import static

_FAR = np.iinfo(np.int64).max


def slice_(ctx: Propagation, node: Node) -> None:
    """Any step, negative and far ends: executed on the labels of every sliced axis. Computed bounds take what they may
    along other axes, where all is alike, and all along the channels.
    """
    labels = ctx.of(node.inputs[0])
    if labels.shrink is None:
        return
    spans = spans_of(node, ctx.graph.opset, labels.atoms.ndim)
    if spans is None and _takes_channels(ctx, node, labels):
        ctx.set(node.outputs[0], ctx.alike(labels.atoms, _others(labels), node), labels.shrink)
        return
    if spans is None:
        ctx.pin(labels.atoms, node, "its bounds are computed at run time", "export with static bounds")
        return
    atoms = labels.atoms
    for axis, span in spans.items():
        taken = np.arange(atoms.shape[axis])[span]
        if axis == labels.shrink:
            atoms = same_places(ctx, node, Labels(atoms, axis), taken)
        if atoms.shape[axis] > 1:
            atoms = np.take(atoms, taken, axis)
    ctx.set(node.outputs[0], atoms, labels.shrink)


def _others(labels: Labels) -> list[int]:
    return [axis for axis in range(labels.atoms.ndim) if axis != labels.shrink]


def _takes_channels(ctx: Propagation, node: Node, labels: Labels) -> bool:
    """Whether computed bounds take every channel: they are of other axes, or from 0 to the count of the very tensor."""
    given = [tensor if tensor.name else None for tensor in node.inputs[1:]]
    x, (starts, ends, named, steps) = node.inputs[0], (*given, None, None, None, None)[:4]
    if starts is None or ends is None or any(other is not None and not other.is_constant for other in (named, steps)):
        return False
    count = prod(ctx.shape(starts))
    axes = list(range(count)) if named is None else [int(axis) % labels.atoms.ndim for axis in named.array.ravel()]
    if labels.shrink not in axes:
        return True
    place = axes.index(labels.shrink)
    first, last = entries(ctx, starts), entries(ctx, ends)
    if first is None or last is None or first.ravel()[place] != 0 or (steps is not None and steps.array[place] != 1):
        return False
    end = last.ravel()[place]
    if end == Read(frozenset({x.name}), True) and not counts(np.delete(last.ravel(), place)):
        ctx.minded.add(ends.name)
        return True
    return isinstance(end, int) and end >= ctx.shape(x)[labels.shrink]


def slice_bounds(node: Node, surgery: Surgery) -> None:
    """Keep a Slice where what stays is evenly spaced, else turn it into a Gather of the indices."""
    x = node.inputs[0]
    labels = surgery.ctx.labels.get(x.name)
    old, new = surgery.shapes(x)
    spans = spans_of(node, surgery.graph.opset, len(old)) or {}
    if labels is None or labels.shrink not in spans or old == new:
        return
    axis = labels.shrink
    kept = surgery.positions(x, axis)
    taken = np.arange(old[axis])[spans.pop(axis)]
    wanted = np.searchsorted(kept, taken[np.isin(taken, kept)])
    step = int(wanted[1] - wanted[0]) if len(wanted) > 1 else 1
    if (np.diff(wanted) != step).any():
        _gather_instead(node, surgery, axis, wanted, spans)
        return
    end = int(wanted[-1]) + (1 if step > 0 else -1)
    spans[axis] = slice(int(wanted[0]), -_FAR if end < 0 else end, step)
    _write_slices(node, surgery, spans)


def _write_slices(node: Node, surgery: Surgery, spans: dict[int, slice]) -> None:
    axes = sorted(spans)
    columns = {
        "starts": [spans[axis].start for axis in axes],
        "ends": [spans[axis].stop for axis in axes],
        "axes": axes,
        "steps": [spans[axis].step for axis in axes],
    }
    if surgery.graph.opset < 10:
        for name in ("starts", "ends", "axes"):
            node.set_attribute(name, columns[name])
        return
    tables = [surgery.graph.constant(f"{node.name}_{name}", np.asarray(v, np.int64)) for name, v in columns.items()]
    node.set_inputs([node.inputs[0], *tables])


def _gather_instead(node: Node, surgery: Surgery, axis: int, wanted: Array, rest: dict[int, slice]) -> None:
    graph = surgery.graph
    indices = graph.constant(f"{node.name}_indices", wanted.astype(np.int64))
    source = node.inputs[0]
    if rest:
        _write_slices(node, surgery, rest)
        picked = graph.variable(f"{source.name}_picked", source.dtype)
        graph.insert("Gather", [source, indices], [picked], {"axis": axis}, before=node)
        node.set_input(0, picked)
        return
    graph.insert("Gather", [source, indices], node.outputs, {"axis": axis}, before=node)
    graph.remove(node)


def gather(ctx: Propagation, node: Node) -> None:
    """Stored indices are executed on the labels; looking up rows of a stored table bears its columns."""
    data, indices, out = node.inputs[0], node.inputs[1], node.outputs[0]
    axis = axis_of(node, ctx.graph.opset, len(ctx.shape(data)))
    if static(data):
        _embedding(ctx, node, axis)
        return
    labels = ctx.of(data)
    if axis and takes_all(indices, ctx.shape(data), axis):
        _sampler(ctx, node, labels, axis)
        return
    if labels.shrink is None:
        return
    atoms, count = labels.atoms, len(ctx.shape(indices))
    if not indices.is_constant:
        atoms = ctx.alike(atoms, [axis], node)
    elif axis == labels.shrink:
        atoms = same_places(ctx, node, labels, indices.array.ravel())
    if atoms.shape[axis] > 1:
        atoms = np.take(atoms, indices.array, axis)
    else:
        atoms = atoms.reshape(atoms.shape[:axis] + (1,) * count + atoms.shape[axis + 1 :])
    shrink = labels.shrink if labels.shrink < axis else labels.shrink + count - 1
    ctx.set(out, atoms, shrink)


def takes_all(indices: Tensor, shape: Shape, axis: int) -> bool:
    """Whether a Gather takes every place along an axis, in order, and so does nothing."""
    return indices.is_constant and len(shape) > axis and np.array_equal(indices.array, np.arange(shape[axis]))


def _sampler(ctx: Propagation, node: Node, labels: Labels, axis: int) -> None:
    """A Gather of everything may take less: new atoms are born, and what it takes them from stays."""
    out = node.outputs[0]
    ctx.pin(labels.atoms, node, "a sampler takes its channels from here", "sample-inputs put it there")
    atoms = ctx.born(node, out, [axis])
    ctx.demand(node.inputs[1], [Labels(atoms.ravel(), 0)], node)
    ctx.set(out, atoms, axis)


def same_places(ctx: Propagation, node: Node, labels: Labels, places: Array) -> Array:
    """Tie what an operator needs that picks the same places along the shrinking axis out of every block.

    Either every block loses the same places; or, when one place a block is left, all places of a block go together.
    """
    axis = labels.shrink or 0
    others = [other for other in labels.varying if other != axis]
    return ctx.alike(labels.atoms, [axis] if collapses(np.take(labels.atoms, places, axis), axis) else others, node)


def _embedding(ctx: Propagation, node: Node, axis: int) -> None:
    data, indices, out = node.inputs[0], node.inputs[1], node.outputs[0]
    shape = ctx.shape(data)
    if indices.is_constant or len(shape) != 2 or axis != 0 or shape[1] == 1:
        return
    rank = len(ctx.shape(out))
    atoms = ctx.born(node, out, [rank - 1])
    ctx.demand(data, [Labels(atoms.reshape(1, -1), 1)], node)
    ctx.set(out, atoms, rank - 1)


def gather_indices(node: Node, surgery: Surgery) -> None:
    """Renumber stored indices along a shortened axis, and drop those of places that went."""
    data, indices, out = node.inputs[0], node.inputs[1], node.outputs[0]
    labels = surgery.ctx.labels.get(data.name)
    old, new = surgery.shapes(data)
    axis = axis_of(node, surgery.graph.opset, len(old))
    if labels is None or labels.shrink != axis or old == new or not indices.is_constant:
        return
    kept = surgery.positions(data, axis)
    places = indices.array % old[axis]
    staying = places[np.isin(places, kept)]
    _, form = surgery.shapes(out)
    table = np.searchsorted(kept, staying).reshape(form[axis : axis + places.ndim])
    node.set_input(1, surgery.graph.constant(f"{node.name}_indices", table.astype(indices.array.dtype)))
