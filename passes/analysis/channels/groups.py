"""Channel analysis: labels, propagated until classes of tied atoms settle, and classes gathered into groups.

Atoms tied to each other form a *class*: they go together. Classes that lie in the same tensors, or must keep equal
counts, form a *group*. A group with equal-count constraints is laid out in *cells* of one size; a *unit* of choice
takes one class out of every cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import networkx as nx
import numpy as np

from ....ir.errors import InvalidModelError
from ....ir.graph import Array, Graph
from ....ir.shapes import Shape, complete, input_sizes, told
from ..layers.linear import Linear, linear_layers
from .coupling import Place, coupling
from .labels import Pin, Propagation
from .rounds import interchangeable, settle

_BATCHES = (3, 1)  # several samples are told apart from axes along which all is alike; a model may take only one


@dataclass(frozen=True)
class Group:
    """Coupled channels. ``cells``: (cells, width) class ids, a unit takes one class from each row."""

    name: str
    cells: Array
    members: tuple[str, ...]

    @property
    def width(self) -> int:
        """How many units there are."""
        return int(self.cells.shape[1])


@dataclass(frozen=True)
class Channels:
    """The result: groups that can shrink, pins with reasons by tensor, and the label state that removal works from.

    Of each of the ``floors`` at least one class must stay, or a tensor would be empty.
    """

    groups: tuple[Group, ...]
    pins: tuple[tuple[str, Pin], ...]
    context: Propagation
    floors: tuple[Array, ...]

    @cached_property
    def layers(self) -> Mapping[str, Linear]:
        """The linear layers of the graph by node name; first asked for while it is as it was analysed."""
        return linear_layers(self.context.graph, self.context.shapes)

    def coupling(self) -> nx.MultiGraph[Place]:
        """Say what ties channels to each other, node by node: see :func:`.coupling.coupling`."""
        return coupling(self)


def analyse(graph: Graph) -> Channels:
    """Find every group of coupled channels, at the sizes of inputs that are kept with the graph.

    Raises InvalidModelError when the shapes of the inputs are unknown.
    """
    ctx, history = settle(graph, *_shapes(graph))
    return _grouped(ctx, history)


def _shapes(graph: Graph) -> tuple[dict[str, Shape], frozenset[str]]:
    """Infer shapes with the first batch that leaves no tensor unknown, else with the one that leaves the fewest; say
    which only a run has shown.
    """
    tried: list[dict[str, Shape]] = []
    best: tuple[dict[str, Shape], frozenset[str]] = ({}, frozenset())
    for batch in _BATCHES:
        wanted = input_sizes(graph, batch)
        if wanted in tried:
            continue
        tried.append(wanted)
        with suppress(InvalidModelError):
            best = max(best, told(graph, wanted), key=lambda found: len(found[0]))
        if complete(graph, best[0]):
            break
    return best


def _grouped(ctx: Propagation, history: list[tuple[Array, Pin]]) -> Channels:
    alike = interchangeable(ctx, (labels.atoms for labels in ctx.labels.values()))
    owner = {int(member): name for name, members in alike.items() for member in members}
    blocks = list({(part.shape, part.tobytes()): part for part in ctx.equal_counts}.values())
    axes: nx.Graph[str] = nx.Graph()
    axes.add_nodes_from(alike)
    for part in blocks:
        nx.add_path(axes, dict.fromkeys(owner[int(member)] for member in np.unique(part)))
    order = {name: place for place, name in enumerate(alike)}
    keys = _constraints(blocks)
    groups = []
    for component in nx.connected_components(axes):
        names = sorted(component, key=order.__getitem__)
        own = np.sort(np.concatenate([alike[name] for name in names]))
        groups.append(Group(names[0], _cells(own, keys), tuple(names)))
    groups.sort(key=lambda group: order[group.name])
    held = ((name, pin) for atoms, pin in history for name in _born_in(ctx, atoms))
    pins = dict.fromkeys((*held, *ctx.kept))
    return Channels(tuple(groups), tuple(pins), ctx, _floors(ctx))


def _born_in(ctx: Propagation, atoms: Array) -> list[str]:
    """Name the tensors that some atoms are born on."""
    names = [name for name, _ in ctx.registry]
    starts = np.fromiter(ctx.registry.values(), np.int64)
    return [names[place] for place in np.unique(np.searchsorted(starts, atoms, "right") - 1)]


def _constraints(blocks: list[Array]) -> dict[int, list[tuple[int, int, int]]]:
    """Say for every class in which blocks it lies: the number of the constraint, the row, and how many places there."""
    keys: dict[int, list[tuple[int, int, int]]] = {}
    for number, part in enumerate(blocks):
        for row, block in enumerate(part):
            members, places = np.unique(block, return_counts=True)
            for member, count in zip(members.tolist(), places.tolist(), strict=True):
                keys.setdefault(member, []).append((number, row, count))
    return keys


def _cells(own: Array, keys: dict[int, list[tuple[int, int, int]]]) -> Array:
    """Cut a group's classes into cells of one size such that equal counts in all cells satisfy every constraint."""
    buckets: dict[tuple[tuple[int, int, int], ...], list[int]] = {}
    for member in own.tolist():
        buckets.setdefault(tuple(keys.get(member, ())), []).append(member)
    size = int(np.gcd.reduce([len(bucket) for bucket in buckets.values()]))
    return np.concatenate([np.asarray(bucket).reshape(-1, size) for bucket in buckets.values()])


def _floors(ctx: Propagation) -> tuple[Array, ...]:
    """Return the sets of classes that some tensor consists of."""
    found: dict[bytes, Array] = {}
    for labels in ctx.labels.values():
        members = np.unique(labels.atoms)
        if members[0] != 0:
            found[members.tobytes()] = members
    return tuple(found.values())
