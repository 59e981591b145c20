"""One node's rule, applied alone: which of the tensors around the node it makes lose the same channels."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ....ir.graph import Array, Node
from ....ir.shapes import Shape
from .labels import FIXED, Labels, Propagation, rows
from .rules.table import propagate

Role = Literal["operand", "result", "constant"]


@dataclass(frozen=True)
class Carrier:
    """One axis of a tensor beside a node. ``knots`` (blocks, size): equal numbers go together, 0 never goes."""

    tensor: str
    axis: int
    role: Role
    knots: Array


@dataclass(frozen=True)
class Alone:
    """What one node ties: its carriers, the class of every knot, and sets of knots of which equally many stay."""

    carriers: tuple[Carrier, ...]
    classes: dict[int, int]
    equal: tuple[tuple[int, ...], ...]


def alone(settled: Propagation, node: Node) -> Alone:
    """Apply a node's rule to operands that share no channel; ``settled`` is the last round of an analysis."""
    ctx = _renamed(settled, node)
    propagate(ctx, node)
    knots = _knots(ctx)
    carriers: list[Carrier] = []
    classes: dict[int, int] = {}
    for tensor in dict.fromkeys((*node.inputs, *node.outputs)):
        labels, found = ctx.labels.get(tensor.name), settled.labels.get(tensor.name)
        if labels is None or found is None:
            continue
        tied, known = (part.ravel() for part in np.broadcast_arrays(knots[labels.atoms], found.atoms))
        classes.update(zip(tied.tolist(), known.tolist(), strict=True))
        role: Role = "result" if tensor in node.outputs else "operand"
        carriers.append(_carrier(tensor.name, role, labels, knots))
    for name, layers in ctx.slices.items():
        if name not in settled.copies:  # else every reader has its own
            carriers.extend(_carrier(name, "constant", layer, knots) for layer in layers)
    equal = (tuple(dict.fromkeys(knots[blocks].ravel().tolist())) for blocks in ctx.equal_counts)
    return Alone(tuple(carriers), classes, tuple(dict.fromkeys(equal)))


def _renamed(settled: Propagation, node: Node) -> Propagation:
    """Return a state in which every operand has classes of its own."""
    labels: dict[str, Labels] = {}
    used = FIXED
    for tensor in node.inputs:
        if tensor.name in labels or tensor.name not in settled.labels:
            continue
        found = settled.labels[tensor.name]
        known, places = np.unique(found.atoms, return_inverse=True)
        own = np.where(known == FIXED, FIXED, np.arange(used + 1, used + 1 + len(known)))
        labels[tensor.name] = Labels(own[places].reshape(found.atoms.shape), found.shrink)
        used += len(known)
    taken: dict[tuple[str, Shape], int] = {("operands", (used,)): 1}
    none = np.zeros(1, np.int64)
    state = Propagation(settled.graph, settled.shapes, none, labels=labels, registry=taken, seen=settled.seen)
    state.numbers.update(settled.numbers)
    return state


def _knots(ctx: Propagation) -> Array:
    """Number what the ties join: (atoms,), 0 for what can never go."""
    size = ctx.registry_size()
    none = np.zeros(0, np.int64)
    a, b = (np.concatenate([none, *(tie[side] for tie in ctx.ties)]) for side in (0, 1))
    _, label = connected_components(coo_array((np.ones(len(a), bool), (a, b)), shape=(size, size)), directed=False)
    return np.where(np.arange(size) == FIXED, 0, np.asarray(label, np.int64) + 1)


def _carrier(tensor: str, role: Role, labels: Labels, knots: Array) -> Carrier:
    assert labels.shrink is not None
    return Carrier(tensor, labels.shrink, role, knots[rows(labels)])
