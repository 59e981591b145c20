"""What ties channels to each other: a graph whose edges name the node and operator.

A *place* holds channels on one axis of one tensor that are coupled alike: they lie in exactly the same tensors, and the
same pins hold them. An edge says that a node lets two places lose the same channels, or equally many. So channels
of two places are coupled when a path joins them, and the shortest path is the shortest reason.

The analysis keeps no such record: every node's rule is applied alone once more, and what it makes equal is what this
node ties. Pinned channels are one class to the analysis, so for them its rounds run again with nothing held.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, NamedTuple

import networkx as nx
import numpy as np

from ....ir.graph import Array, Graph, Node
from .labels import Pin, Propagation, rows
from .local import Alone, Carrier, alone
from .rounds import Pins, interchangeable, settle

if TYPE_CHECKING:
    from .groups import Channels

_COMBINES = {"Add": "added", "Div": "divided", "Mul": "multiplied", "Sub": "subtracted"}


class Place(NamedTuple):
    """Channels of one part on one axis of a tensor, a computed one or a constant that is sliced."""

    tensor: str
    axis: int
    part: str


def coupling(channels: Channels) -> nx.MultiGraph[Place]:
    """Return the graph of places; the graph that was analysed must be unchanged since. Takes two or three analyses.

    Every node has ``free``, whether its channels can go; ``stored``, whether the tensor is a constant; ``indices``,
    where they lie on the axis; ``made_by`` and ``read_by``, names of the nodes whose filters make them and whose
    weights sum over them; ``balanced_by``, those that need equally many in each of several blocks; and ``pins``.
    Every edge has ``node``, ``op`` and ``why``; its key is the node's name.
    """
    ctx = channels.context
    found = _built(ctx, [], free=True)
    kept = _built(*settle(ctx.graph, ctx.shapes, ctx.seen, hold=False), free=False)
    kept.remove_nodes_from([place for place in kept if _can_go(ctx, place, kept.nodes[place]["indices"])])
    _explain_rest(ctx.graph, kept)
    found.add_nodes_from(kept.nodes(data=True))
    for one, other, key, reason in kept.edges(keys=True, data=True):
        found.add_edge(one, other, key, **reason)
    return found


def _can_go(found: Propagation, place: Place, indices: tuple[int, ...]) -> bool:
    """Whether the analysis leaves a place free that rounds with nothing held know otherwise."""
    layers = found.slices.get(place.tensor, [found.labels[place.tensor]] if place.tensor in found.labels else [])
    return any(bool(rows(layer)[:, indices].any()) for layer in layers if layer.shrink == place.axis)


def _explain_rest(graph: Graph, kept: nx.MultiGraph[Place]) -> None:
    """Join kept channels without a pin of their own to others in the same tensor: what joined the two kept both."""
    pinned: dict[str, Place] = {}
    unpinned: list[Place] = []
    for component in nx.connected_components(kept):
        if any(kept.nodes[place]["pins"] for place in component):
            pinned.update((place.tensor, place) for place in component)
        else:
            unpinned.extend(component)
    tensors = graph.tensors()
    for place in sorted(unpinned):
        node = tensors[place.tensor].producer
        if place.tensor in pinned and node is not None:
            why = "the other channels of its output have to stay, so these too"
            kept.add_edge(place, pinned[place.tensor], node.name, node=node.name, op=node.op, why=why)


def _built(settled: Propagation, pins: Pins, free: bool) -> nx.MultiGraph[Place]:
    build = _Build(settled, _parts(settled, pins, free), free)
    for node in settled.graph.nodes:
        build.link(node, alone(settled, node))
    build.mark_ends()
    for atoms, pin in pins:
        build.mark_pin(settled.classes[atoms], pin)
    return build.graph


def _parts(settled: Propagation, pins: Pins, free: bool) -> dict[int, str]:
    """Name the part of every class that some tensor or pin holds."""
    remark = "" if free else " (kept)"
    born = np.unique(np.concatenate([np.zeros(0, np.int64), *(birth.atoms for birth in settled.births)]))
    held = (np.intersect1d(settled.classes[atoms], born) for atoms, _ in pins)
    found = interchangeable(settled, [*(labels.atoms for labels in settled.labels.values()), *held])
    return {int(member): name + remark for name, members in found.items() for member in members}


@dataclass
class _Build:
    """The graph while it grows; ``parts`` names the part of a class."""

    settled: Propagation
    parts: dict[int, str]
    free: bool
    graph: nx.MultiGraph[Place] = field(default_factory=nx.MultiGraph)
    by_tensor: dict[str, list[Place]] = field(default_factory=dict)

    def link(self, node: Node, tied: Alone) -> None:
        """Add the places around a node, and an edge between any two that it ties."""
        part = {knot: self.parts[member] for knot, member in tied.classes.items() if member in self.parts}
        first: dict[int, Place] = {}
        beside: dict[int, list[Carrier]] = {}
        for carrier in tied.carriers:
            self._add(carrier, part)
            for knot in np.unique(carrier.knots).tolist():
                if knot in part:
                    beside.setdefault(knot, []).append(carrier)
                    first.setdefault(knot, _place(carrier, part[knot]))
        met = {(part[knot], *map(id, carriers)): (part[knot], carriers) for knot, carriers in beside.items()}
        for name, carriers in met.values():
            for a, b in combinations(carriers, 2):
                self._edge(node, _place(a, name), _place(b, name), _reason(node, a, b, carriers))
        for knots in tied.equal:
            places = list(dict.fromkeys(first[knot] for knot in knots if knot in first))
            self._mark("balanced_by", node.name, places)
            for one, other in pairwise(places):
                self._edge(node, one, other, "equally many channels must stay in each of its blocks")

    def _add(self, carrier: Carrier, part: dict[int, str]) -> None:
        named = {knot: part[knot] for knot in np.unique(carrier.knots).tolist() if knot in part}
        for name in dict.fromkeys(named.values()):
            mine = [knot for knot, other in named.items() if other == name]
            indices = np.flatnonzero(np.isin(carrier.knots, mine).any(0))
            self._place(_place(carrier, name), indices, carrier.role == "constant")

    def _place(self, place: Place, indices: Array, stored: bool) -> None:
        if place not in self.graph:
            known = {"free": self.free, "stored": stored, "indices": tuple(indices.tolist())}
            self.graph.add_node(place, **known, made_by=(), read_by=(), balanced_by=(), pins=())
            self.by_tensor.setdefault(place.tensor, []).append(place)

    def _edge(self, node: Node, one: Place, other: Place, why: str) -> None:
        if one != other and not self.graph.has_edge(one, other, node.name):
            self.graph.add_edge(one, other, node.name, node=node.name, op=node.op, why=why)

    def mark_ends(self) -> None:
        """Name the nodes that make channels, and those that sum over them."""
        forms = dict(self.settled.registry)
        for birth in self.settled.births:
            if birth.tensor not in self.by_tensor:  # all of its channels are one, so no rule labels it
                form = next(form for name, form in forms if name == birth.tensor)
                axis = max((axis for axis, size in enumerate(form) if size > 1), default=len(form) - 1)
                for name in self._named(birth.atoms):
                    self._place(Place(birth.tensor, axis, name), np.arange(form[axis]), stored=False)
            self._mark("made_by", birth.node, self._at([birth.tensor], birth.atoms))
        nodes = {node.name: node for node in self.settled.graph.nodes}
        for end in self.settled.contractions:
            operand = nodes[end.node].inputs[end.operand].name
            self._mark("read_by", end.node, self._at([operand], end.labels.atoms))

    def mark_pin(self, classes: Array, pin: Pin) -> None:
        """Put a pin on the places beside its node that it holds: outputs of the model, else operands, else births."""
        node = self.settled.graph.node(pin.node)
        outputs = [tensor.name for tensor in node.outputs if self.settled.graph.is_output(tensor)]
        operands = [tensor.name for tensor in (*node.inputs, *node.captures())]
        births = [birth.tensor for birth in self.settled.births if np.isin(birth.atoms, classes).any()]
        found = (self._at(names, classes) for names in (outputs, operands, births))
        self._mark("pins", pin, next(filter(None, found), []))

    def _at(self, tensors: Iterable[str], classes: Array) -> list[Place]:
        names = self._named(classes)
        return [place for tensor in tensors for place in self.by_tensor.get(tensor, ()) if place.part in names]

    def _named(self, classes: Array) -> list[str]:
        found = (self.parts.get(member) for member in np.unique(classes).tolist())
        return list(dict.fromkeys(name for name in found if name is not None))

    def _mark(self, attribute: str, value: object, places: Iterable[Place]) -> None:
        for place in places:
            held = self.graph.nodes[place]
            held[attribute] = tuple(dict.fromkeys((*held[attribute], value)))


def _place(carrier: Carrier, part: str) -> Place:
    return Place(carrier.tensor, carrier.axis, part)


def _reason(node: Node, one: Carrier, other: Carrier, beside: list[Carrier]) -> str:
    """Say why a node lets two of the carriers beside it that meet lose the same channels."""
    if "constant" in (one.role, other.role):
        return "its constants have a slice for each channel"
    if sum(carrier.role == "operand" for carrier in beside) > 1:
        return f"its operands are {_COMBINES.get(node.op, 'combined')} element by element"
    return "it passes channels on"
