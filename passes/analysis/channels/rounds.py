"""Rounds of propagation, to a fixed point: each knows the classes that the ties of all earlier rounds closed into."""

from collections.abc import Iterable

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ....ir.graph import Array, Graph
from ....ir.shapes import Shape
from .labels import Pin, Propagation
from .numbers import counts, keep
from .rules.elementwise import static
from .rules.table import propagate

Pins = list[tuple[Array, Pin]]


def settle(graph: Graph, shapes: dict[str, Shape], seen: frozenset[str], hold: bool = True) -> tuple[Propagation, Pins]:
    """Propagate until nothing changes; return the last round and the pins of all rounds.

    ``seen``: of which tensors only a run has shown the shape.
    ``hold`` lets pinned classes become class 0, which can never go. Without it they stay apart, so that one can still
    see which tensors they lie in and what ties them to each other; what a pin keeps is then all that is tied to it.
    """
    registry: dict[tuple[str, Shape], int] = {}
    classes = np.zeros(1, np.int64)
    history: Pins = []
    while True:  # ends, for classes only merge and births are finitely many
        ctx = Propagation(graph, shapes, classes, registry=registry, seen=seen)
        for node in graph.nodes:
            propagate(ctx, node)
        _keep_outputs(ctx)
        history.extend(ctx.pins)
        closed = _close(ctx, history if hold else [])
        if np.array_equal(closed, classes):
            return ctx, history
        classes = closed


def _keep_outputs(ctx: Propagation) -> None:
    for tensor in ctx.graph.outputs:
        node = tensor.producer or next(iter(tensor.consumers), None)
        if node is None:
            continue
        why = f"'{tensor.name}' is an output of the model"
        ctx.pin(ctx.of(tensor).atoms, node, why, "keep it, or cut the graph before it")
        keep(ctx, node, counts(ctx.numbers.get(tensor.name)))
        if static(tensor):
            ctx.demand(tensor, [], node)


def _close(ctx: Propagation, pins: Pins) -> Array:
    """Return the class of every atom: the smallest member, 0 when something in the class is pinned."""
    size = ctx.registry_size()
    old = np.arange(size)
    old[: len(ctx.classes)] = ctx.classes
    left = [np.arange(size), *(a for a, _ in ctx.ties), *(atoms for atoms, _ in pins)]
    right = [old, *(b for _, b in ctx.ties), *(np.zeros_like(atoms) for atoms, _ in pins)]
    a, b = np.concatenate(left), np.concatenate(right)
    links = coo_array((np.ones(len(a), bool), (a, b)), shape=(size, size))
    count, label = connected_components(links, directed=False)
    smallest = np.full(count, size)
    np.minimum.at(smallest, label, np.arange(size))
    return smallest[label]


def interchangeable(ctx: Propagation, carriers: Iterable[Array]) -> dict[str, Array]:
    """Collect classes that lie in exactly the same carriers (arrays); named after the tensor where they are born."""
    where: dict[int, list[int]] = {}
    for place, atoms in enumerate(carriers):
        for member in np.unique(atoms).tolist():
            where.setdefault(member, []).append(place)
    where.pop(0, None)
    named: dict[str, dict[tuple[int, ...], list[int]]] = {}
    first = {int(member): birth.tensor for birth in reversed(ctx.births) for member in np.unique(birth.atoms)}
    for member, places in where.items():
        named.setdefault(first[member], {}).setdefault(tuple(places), []).append(member)
    found: dict[str, Array] = {}
    for birth in ctx.births:
        for number, members in enumerate(named.pop(birth.tensor, {}).values()):
            found[birth.tensor if number == 0 else f"{birth.tensor}#{number}"] = np.asarray(members)
    return found
