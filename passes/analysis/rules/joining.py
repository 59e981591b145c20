"""Concat, Split, Slice, Gather, Pad: literal on the label arrays, with their lists of numbers rewritten."""

import numpy as np

from ....ir.graph import Array, Node, Tensor
from ..context import Context, Labels
from ..surgery import Surgery
from .elementwise import static

_FAR = np.iinfo(np.int64).max


def concat(ctx: Context, node: Node) -> None:
    """Labels are put end to end; across the other axes the parts are tied."""
    out = node.outputs[0]
    rank = len(ctx.shape(out))
    axis = int(node.attribute("axis", ctx.graph.opset, 1)) % rank
    parts = [ctx.of(tensor) for tensor in node.inputs]
    others = [part for part in parts if part.shrink not in (None, axis)]
    if others:
        _concat_across(ctx, node, axis, others[0])
        return
    if all(part.shrink is None for part in parts):
        return
    lengths = [ctx.shape(tensor)[axis] for tensor in node.inputs]
    pieces = [_lengthened(part.atoms, axis, length) for part, length in zip(parts, lengths, strict=True)]
    form = np.broadcast_shapes(*[np.take(piece, [0], axis).shape for piece in pieces])
    full = [np.broadcast_to(piece, [piece.shape[a] if a == axis else form[a] for a in range(rank)]) for piece in pieces]
    ctx.set(out, np.concatenate(full, axis), axis)


def _lengthened(atoms: Array, axis: int, length: int) -> Array:
    form = [length if a == axis else size for a, size in enumerate(atoms.shape)]
    return np.broadcast_to(atoms, form)


def _concat_across(ctx: Context, node: Node, axis: int, model: Labels) -> None:
    """Concatenation along an axis the channels do not lie on: every part loses the same channels."""
    full = ctx.alike(model.atoms, [axis], node)
    why = "it is concatenated with a tensor whose channels cannot be removed"
    for tensor in node.inputs:
        if static(tensor):
            ctx.demand(tensor, [Labels(full, model.shrink)], node)
        else:
            own = ctx.alike(ctx.of(tensor).atoms, [axis], node)
            ctx.tie(full, own, node, why, "prune before this node")
    ctx.set(node.outputs[0], full, model.shrink)


def split(ctx: Context, node: Node) -> None:
    """Each output takes its run of labels."""
    labels = ctx.of(node.inputs[0])
    axis = int(node.attribute("axis", ctx.graph.opset, 0)) % max(labels.atoms.ndim, 1)
    start = 0
    for tensor in node.outputs:
        length = ctx.shape(tensor)[axis]
        piece = labels.atoms
        if piece.shape[axis] > 1:
            piece = np.take(piece, np.arange(start, start + length), axis)
        if labels.shrink is not None:
            ctx.set(tensor, piece, labels.shrink)
        start += length


def split_sizes(node: Node, surgery: Surgery) -> None:
    """Write explicit sizes: parts may have become unequal."""
    rank = len(surgery.ctx.shape(node.inputs[0]))
    axis = int(node.attribute("axis", surgery.graph.opset, 0)) % rank
    shapes = [surgery.shapes(tensor) for tensor in node.outputs]
    if all(old[axis] == new[axis] for old, new in shapes):
        return
    sizes = [new[axis] for _, new in shapes]
    if surgery.graph.opset >= 13:
        node.set_attribute("num_outputs", None)
        table = surgery.graph.constant(f"{node.name}_split", np.asarray(sizes, np.int64))
        node.set_inputs([node.inputs[0], table])
    else:
        node.set_attribute("split", sizes)


def slice_(ctx: Context, node: Node) -> None:
    """Any step, negative and far ends: executed on the labels of every sliced axis."""
    labels = ctx.of(node.inputs[0])
    if labels.shrink is None:
        return
    spans = slices(node, ctx.graph.opset)
    if spans is None:
        ctx.pin(labels.atoms, node, "its bounds are computed at run time", "export with static bounds")
        return
    atoms = labels.atoms
    for axis, span in spans.items():
        place = axis % atoms.ndim
        if atoms.shape[place] > 1:
            atoms = atoms[tuple(span if a == place else slice(None) for a in range(atoms.ndim))]
    ctx.set(node.outputs[0], atoms, labels.shrink)


def slices(node: Node, opset: int) -> dict[int, slice] | None:
    """Return a python slice for every axis a Slice node names, None when a bound is not stored."""
    if any(t.name and not t.is_constant for t in node.inputs[1:]):
        return None
    given = [t.array.ravel().tolist() if t.name else [] for t in node.inputs[1:]]
    starts = given[0] if given else list(node.attribute("starts", opset))
    ends = given[1] if given else list(node.attribute("ends", opset))
    axes = (given[2] if len(given) > 2 else list(node.attribute("axes", opset) or [])) or list(range(len(starts)))
    steps = (given[3] if len(given) > 3 else []) or [1] * len(starts)
    return {
        int(axis): slice(int(a), None if (s < 0 and b < -(2**31)) or b > 2**31 - 2 else int(b), int(s))
        for axis, a, b, s in zip(axes, starts, ends, steps, strict=True)
    }


def slice_bounds(node: Node, surgery: Surgery) -> None:
    """Keep a Slice where what stays is evenly spaced, else turn it into a Gather of the indices."""
    x, out = node.inputs[0], node.outputs[0]
    labels = surgery.ctx.labels.get(x.name)
    spans = slices(node, surgery.graph.opset)
    if labels is None or labels.shrink is None or spans is None:
        return
    old, new = surgery.shapes(x)
    axis = labels.shrink
    span = next((s for a, s in spans.items() if a % len(old) == axis), None)
    if span is None or old == new:
        return
    _, kept_out = surgery.shapes(out)
    wanted = _new_indices(surgery, x, axis, span)
    rest = {a % len(old): s for a, s in spans.items() if a % len(old) != axis}
    step = int(wanted[1] - wanted[0]) if len(wanted) > 1 else 1
    if (np.diff(wanted) != step).any():
        _gather_instead(node, surgery, axis, wanted, rest)
        return
    end = int(wanted[-1]) + (1 if step > 0 else -1)
    rest[axis] = slice(int(wanted[0]), -_FAR if end < 0 else end, step)
    _write_slices(node, surgery, rest)
    assert len(wanted) == kept_out[axis]


def _new_indices(surgery: Surgery, x: Tensor, axis: int, span: slice) -> Array:
    """Return, for each index the slice takes and that stays, its place in the shortened input."""
    labels = surgery.ctx.labels[x.name]
    mask = np.moveaxis(surgery.mask(labels), axis, -1).reshape(-1, labels.atoms.shape[axis])
    places = np.cumsum(mask, 1) - 1
    taken = [row[span][keep[span]] for row, keep in zip(places, mask, strict=True)]
    if any(not np.array_equal(taken[0], other) for other in taken[1:]):
        surgery.positions(x, axis)
    return taken[0]


def _write_slices(node: Node, surgery: Surgery, spans: dict[int, slice]) -> None:
    axes = sorted(spans)
    columns = {
        "starts": [int(spans[a].start) for a in axes],
        "ends": [_FAR if spans[a].stop is None and spans[a].step > 0 else -_FAR if spans[a].stop is None else int(spans[a].stop) for a in axes],
        "axes": axes,
        "steps": [int(spans[a].step) for a in axes],
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


def gather(ctx: Context, node: Node) -> None:
    """Stored indices are executed on the labels; looking up rows of a stored table bears its columns."""
    data, indices, out = node.inputs[0], node.inputs[1], node.outputs[0]
    axis = int(node.attribute("axis", ctx.graph.opset, 0)) % max(len(ctx.shape(data)), 1)
    if static(data):
        _embedding(ctx, node, axis)
        return
    labels = ctx.of(data)
    if labels.shrink is None:
        return
    atoms, count = labels.atoms, len(ctx.shape(indices))
    if atoms.shape[axis] > 1 and not indices.is_constant:
        atoms = ctx.alike(atoms, [axis], node)
    if atoms.shape[axis] > 1:
        atoms = np.take(atoms, indices.array, axis)
    else:
        atoms = atoms.reshape(atoms.shape[:axis] + (1,) * count + atoms.shape[axis + 1 :])
    shrink = labels.shrink if labels.shrink < axis else labels.shrink + count - 1
    ctx.set(out, atoms, max(shrink, 0))


def _embedding(ctx: Context, node: Node, axis: int) -> None:
    data, indices, out = node.inputs[0], node.inputs[1], node.outputs[0]
    shape = ctx.shape(data)
    if indices.is_constant or len(shape) != 2 or axis != 0 or shape[1] == 1:
        return
    rank = len(ctx.shape(out))
    atoms = ctx.born(node, out, [rank - 1])
    ctx.demand(data, [Labels(atoms.reshape(1, -1), 1)], node)
    ctx.set(out, atoms, rank - 1)


def gather_indices(node: Node, surgery: Surgery) -> None:
    """Renumber stored indices along a shortened axis."""
    data, indices = node.inputs[:2]
    labels = surgery.ctx.labels.get(data.name)
    axis = int(node.attribute("axis", surgery.graph.opset, 0)) % max(len(surgery.ctx.shape(data)), 1)
    if labels is None or labels.shrink != axis or not indices.is_constant:
        return
    kept = surgery.positions(data, axis)
    place = {int(old): new for new, old in enumerate(kept)}
    flat = [int(i) % surgery.ctx.shape(data)[axis] for i in indices.array.ravel()]
    if indices.array.ndim == 1:
        surgery.set_ints(node, 1, "indices", [place[i] for i in flat if i in place])
    elif indices.array.ndim == 0:
        table = surgery.graph.constant(f"{node.name}_indices", np.asarray(place[flat[0]], indices.array.dtype))
        node.set_input(1, table)


def pad(ctx: Context, node: Node) -> None:
    """Padding the channel axis bears channels of a constant value; other axes are alike along themselves."""
    x, out = node.inputs[0], node.outputs[0]
    labels = ctx.of(x)
    rank = len(ctx.shape(x))
    amounts = pads(node, ctx.graph.opset, rank)
    if labels.shrink is None:
        return
    if amounts is None:
        ctx.pin(labels.atoms, node, "its padding is computed at run time", "export with static padding")
        return
    padded = [axis for axis in range(rank) if amounts[axis] or amounts[axis + rank]]
    atoms = ctx.alike(labels.atoms, [axis for axis in padded if axis != labels.shrink], node)
    axis = labels.shrink
    if axis in padded and atoms.shape[axis] > 1:
        before, after = amounts[axis], amounts[axis + rank]
        if str(node.attribute("mode", ctx.graph.opset, "constant")) != "constant" or min(before, after) < 0:
            ctx.pin(atoms, node, "it mirrors or crops the channel axis")
            return
        atoms = _between(ctx, node, atoms, axis, before)
    ctx.set(out, atoms, axis)


def _between(ctx: Context, node: Node, atoms: Array, axis: int, before: int) -> Array:
    """Place the incoming channels among newly born constant ones."""
    born = ctx.born(node, node.outputs[0], [axis]).copy()
    length = atoms.shape[axis]
    full = np.broadcast_to(born, [born.shape[a] if a == axis else s for a, s in enumerate(atoms.shape)]).copy()
    full[tuple(slice(before, before + length) if a == axis else slice(None) for a in range(full.ndim))] = atoms
    return full


def pads(node: Node, opset: int, rank: int) -> list[int] | None:
    """Return begin and end amounts of every axis, None when they are not stored."""
    if opset < 11:
        return [int(v) for v in node.attribute("pads", opset)]
    if not node.inputs[1].is_constant:
        return None
    values = [int(v) for v in node.inputs[1].array.ravel()]
    if len(node.inputs) < 4 or not node.inputs[3].name:
        return values
    if not node.inputs[3].is_constant:
        return None
    full = [0] * (2 * rank)
    axes = [int(a) % rank for a in node.inputs[3].array.ravel()]
    for place, axis in enumerate(axes):
        full[axis], full[axis + rank] = values[place], values[place + len(axes)]
    return full


def pad_amounts(node: Node, surgery: Surgery) -> None:
    """Fewer constant channels are added where some of them were removed."""
    out = node.outputs[0]
    labels = surgery.ctx.labels.get(out.name)
    old, new = surgery.shapes(out)
    if labels is None or labels.shrink is None or old == new:
        return
    rank, axis = len(old), labels.shrink
    amounts = pads(node, surgery.graph.opset, rank) or []
    if not amounts[axis] and not amounts[axis + rank]:
        return
    kept = surgery.positions(out, axis)
    amounts[axis + rank] = int((kept >= old[axis] - amounts[axis + rank]).sum())
    amounts[axis] = int((kept < amounts[axis]).sum())
    if len(node.inputs) > 3 and node.inputs[3].name:
        node.set_inputs(node.inputs[:3])
    surgery.set_ints(node, 1, "pads", amounts)
