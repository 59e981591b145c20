"""Data movement, run literally on facts: the same few lines serve constants and value numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np

from ...ir.arguments import axis as axis_of
from ...ir.arguments import permutation
from ...ir.arguments import spans as spans_of
from ...ir.graph import Array, Node
from ...ir.shapes import Shape
from ..analysis.channels.labels import Propagation
from ..analysis.channels.rules.movement import axis_blocks
from .facts import F


@dataclass(frozen=True)
class Move(Generic[F]):
    """One node, and what is known of its inputs. ``old``, ``new``: shapes of the inputs and outputs."""

    ctx: Propagation
    node: Node
    inputs: Sequence[F]
    old: Sequence[Shape]
    new: Sequence[Shape]

    @property
    def axis(self) -> int:
        """The node's axis, counted from the front."""
        return axis_of(self.node, self.ctx.graph.opset, len(self.old[0]))


def moved(ctx: Propagation, node: Node, inputs: Sequence[F]) -> list[F]:
    """Return the facts of a data-movement node's outputs; empty for other operators and computed indices."""
    old = [ctx.shape(tensor) for tensor in node.inputs if tensor.name]
    new = [ctx.shape(tensor) for tensor in node.outputs if tensor.name]
    return MOVES[node.op](Move(ctx, node, inputs, old, new)) if node.op in MOVES else []


def align(inputs: Sequence[F], shapes: Sequence[Shape]) -> list[F]:
    """Bring facts to one rank, with an entry an index along every axis where any of them has."""
    rank = max(len(shape) for shape in shapes)
    extents = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    forms = [(1,) * (rank - len(facts.shape)) + facts.shape for facts in inputs]
    varying = [axis for axis in range(rank) if any(form[axis] > 1 for form in forms)]
    return [
        facts.map(_into(form)).spread(extent, varying)
        for facts, form, extent in zip(inputs, forms, extents, strict=True)
    ]


def _into(form: Sequence[int]) -> Callable[[Array], Array]:
    return lambda array: array.reshape(form)


def _run(start: int, end: int, axis: int) -> Callable[[Array], Array]:
    return lambda array: array.take(range(start, end), axis)


def _reshape(move: Move[F]) -> list[F]:
    facts, old, new = move.inputs[0], move.old[0], move.new[0]
    target = [1] * len(new)
    for mine, theirs in axis_blocks(old, new):
        if any(facts.shape[axis] > 1 for axis in mine):
            facts = facts.spread(old, mine)
            for axis in theirs:
                target[axis] = new[axis]
    return [facts.map(_into(target))]


def _transpose(move: Move[F]) -> list[F]:
    perm = permutation(move.node, move.ctx.graph.opset, len(move.old[0]))
    return [move.inputs[0].map(lambda array: array.transpose(perm))]


def _slice(move: Move[F]) -> list[F]:
    facts, rank = move.inputs[0], len(move.old[0])
    spans = spans_of(move.node, move.ctx.graph.opset, rank)
    if spans is None:
        return []
    taken = [spans.get(axis, slice(None)) if size > 1 else slice(None) for axis, size in enumerate(facts.shape)]
    return [facts.map(lambda array: array[tuple(taken)])]


def _split(move: Move[F]) -> list[F]:
    facts, axis = move.inputs[0], move.axis
    if facts.shape[axis] == 1:
        return [facts] * len(move.new)
    ends = np.cumsum([shape[axis] for shape in move.new]).tolist()
    return [facts.map(_run(end - shape[axis], end, axis)) for end, shape in zip(ends, move.new, strict=True)]


def _concat(move: Move[F]) -> list[F]:
    axis = move.axis
    parts = [facts.spread(extent, [axis]) for facts, extent in zip(move.inputs, move.old, strict=True)]
    rank = len(move.old[0])
    varying = [a for a in range(rank) if a != axis and any(part.shape[a] > 1 for part in parts)]
    parts = [part.spread(extent, varying) for part, extent in zip(parts, move.old, strict=True)]
    return [parts[0].join(parts[1:], axis)]


def _gather(move: Move[F]) -> list[F]:
    axis, indices = move.axis, move.node.inputs[1]
    facts, count = move.inputs[0], len(move.old[1])
    if facts.shape[axis] > 1 and indices.is_constant:
        return [facts.map(lambda array: np.take(array, indices.array, axis))]
    facts = facts.collapse([axis])
    form = facts.shape[:axis] + (1,) * count + facts.shape[axis + 1 :]
    return [facts.map(_into(form))]


def _expand(move: Move[F]) -> list[F]:
    """Copies along the one axis that grows are equal, and each gets the same entry."""
    new = move.new[0]
    skipped = len(new) - len(move.old[0])
    facts = move.inputs[0].map(lambda array: array.reshape((1,) * skipped + array.shape))
    old = (1,) * skipped + move.old[0]
    grown = [axis for axis in range(1, len(new)) if old[axis] < new[axis]]
    form = [new[axis] if grown == [axis] else size for axis, size in enumerate(facts.shape)]
    return [facts.map(lambda array: np.broadcast_to(array, form))]


def _tile(move: Move[F]) -> list[F]:
    facts, old, new = move.inputs[0], move.old[0], move.new[0]
    repeats = [new[a] // old[a] if size > 1 else 1 for a, size in enumerate(facts.shape)]
    return [facts.map(lambda array: np.tile(array, repeats))]


def _depth_to_space(move: Move[F]) -> list[F]:
    opset = move.ctx.graph.opset
    block = int(move.node.attribute("blocksize", opset)) ** 2
    first = str(move.node.attribute("mode", opset, "DCR")) == "DCR"
    facts = move.inputs[0].collapse([0, 2, 3]).spread(move.old[0], [1])
    table = facts.map(lambda array: array.reshape((block, -1) if first else (-1, block)))
    return [table.collapse([0 if first else 1]).map(lambda array: array.reshape(1, -1, 1, 1))]


def _space_to_depth(move: Move[F]) -> list[F]:
    block = int(move.node.attribute("blocksize", move.ctx.graph.opset)) ** 2
    facts = move.inputs[0].collapse([0, 2, 3]).spread(move.old[0], [1])
    table = facts.map(lambda array: array.reshape(1, -1)).spread((block, move.old[0][1]), [0])
    return [table.map(lambda array: array.reshape(1, -1, 1, 1))]


MOVES: dict[str, Callable[[Move[F]], list[F]]] = {
    "Concat": _concat,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Flatten": _reshape,
    "Gather": _gather,
    "Reshape": _reshape,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _reshape,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
