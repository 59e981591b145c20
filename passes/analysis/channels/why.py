"""Why the channels of one tensor are coupled, and why they are pinned: the shortest ways through the coupling graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

import networkx as nx

from ....ir.errors import UsageError
from ....ir.graph import Graph, Node, Tensor
from .coupling import Place
from .groups import Channels, Group
from .labels import Pin, rows
from .wording import sentences

_SUGGESTED = 3
Paths = dict[Place, list[Place]]


@dataclass(frozen=True)
class Step:
    """One node on the way, why it ties what lies on its two sides, and the tensor one arrives at, stored or not."""

    node: str
    op: str
    why: str
    tensor: str
    stored: bool


@dataclass(frozen=True)
class Layer:
    """A layer that makes, reads or balances the channels, and the shortest way to it."""

    node: str
    op: str
    way: tuple[Step, ...]


@dataclass(frozen=True)
class Stop:
    """A pin, and the shortest way to its node."""

    pin: Pin
    way: tuple[Step, ...]


@dataclass(frozen=True)
class Part:
    """Channels of the tensor that are coupled: ``indices`` on ``axis``. ``group`` names theirs, None where they stay.

    The group has ``units``, each of one channel out of every one of ``cells``. In order of distance: ``makers`` and
    ``readers`` of the coupled channels, ``balancers`` that need equally many in each of several blocks, and ``stops``.
    """

    axis: int
    indices: tuple[int, ...]
    group: str | None
    units: int
    cells: int
    makers: tuple[Layer, ...]
    readers: tuple[Layer, ...]
    balancers: tuple[Layer, ...]
    stops: tuple[Stop, ...]


@dataclass(frozen=True)
class Why:
    """The answer; ``origin`` says what the tensor is. As a string: sentences for a person.

    Without ``parts`` no removal can touch the tensor: ``behind`` are the pins nearest before it, if any.
    """

    tensor: str
    origin: str
    parts: tuple[Part, ...]
    behind: tuple[Pin, ...] = ()

    def __str__(self) -> str:
        """Return a few lines."""
        return "\n".join(sentences(self))

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        return asdict(self)


def explain(channels: Channels, name: str) -> Why:
    """Explain the channels of a tensor, or of the first output of a node. Raises UsageError where there is neither."""
    graph = channels.context.graph
    found = channels.coupling()
    tensor = _tensor(graph, name)
    places = [place for place in found if place.tensor == tensor]
    parts: list[Part] = []
    while places:
        paths: Paths = nx.single_source_shortest_path(found, places[0])
        together = [place for place in places if place in paths and place.axis == places[0].axis]
        parts.append(_part(channels, found, _from_all(found, together)))
        places = [place for place in places if place not in together]
    behind = () if parts else _behind(channels, graph.tensors()[tensor])
    return Why(tensor, _origin(graph, tensor), tuple(parts), behind)


def _behind(channels: Channels, tensor: Tensor) -> tuple[Pin, ...]:
    """Return the pins of the nearest node, upwards from a tensor, that has any."""
    pins: dict[str, list[Pin]] = {}
    for _, pin in channels.pins:
        pins.setdefault(pin.node, []).append(pin)
    waiting, seen = [tensor], {tensor}
    for above in waiting:  # grows as it goes, the nearest first
        node = above.producer
        if node is not None and node.name in pins:
            return tuple(dict.fromkeys(pins[node.name]))
        waiting.extend(dict.fromkeys(t for t in (node.inputs if node else ()) if t not in seen))
        seen.update(waiting)
    return ()


def _from_all(found: nx.MultiGraph[Place], together: list[Place]) -> Paths:
    """Return the shortest path to everything that any of these places reaches, the nearest first."""
    paths: Paths = nx.multi_source_dijkstra_path(found, together)
    return dict(sorted(paths.items(), key=lambda item: len(item[1])))


def _tensor(graph: Graph, name: str) -> str:
    tensors = graph.tensors()
    if name in tensors:
        return name
    nodes = {node.name: node for node in graph.nodes}
    if name in nodes:
        return next(tensor.name for tensor in nodes[name].outputs if tensor.name)
    known = [*tensors, *nodes]
    near = [*get_close_matches(name, known, _SUGGESTED), *(other for other in known if name in other)][:_SUGGESTED]
    listed = " or ".join(f"'{other}'" for other in dict.fromkeys(near))
    hint = f"did you mean {listed}?" if near else "analyse lists layers by name, and so does Netron"
    raise UsageError(f"the model has no tensor and no node called '{name}'", hint=hint)


def _origin(graph: Graph, name: str) -> str:
    tensor = graph.tensors()[name]
    if tensor.is_constant:
        readers = dict.fromkeys(f"{node.op} '{node.name}'" for node in tensor.consumers)
        return f"is a constant of {' and '.join(readers)}"
    if tensor.producer is None:
        return "is an input of the model"
    return f"comes from {tensor.producer.op} '{tensor.producer.name}'"


def _part(channels: Channels, found: nx.MultiGraph[Place], paths: Paths) -> Part:
    nodes = {node.name: node for node in channels.context.graph.nodes}
    own = [place for place, path in paths.items() if len(path) == 1]
    indices = tuple(sorted({index for place in own for index in found.nodes[place]["indices"]}))
    ways = {place: tuple(_steps(found, path)) for place, path in paths.items()}
    stops: dict[Pin, Stop] = {}
    for place, way in ways.items():
        for pin in found.nodes[place]["pins"]:
            stops.setdefault(pin, Stop(pin, way))
    group = _group(channels, own[0], indices) if found.nodes[own[0]]["free"] else None
    name, units, cells = (group.name, group.width, len(group.cells)) if group else (None, 0, 0)
    makers, readers, balancers = (_layers(found, ways, nodes, end) for end in ("made_by", "read_by", "balanced_by"))
    return Part(own[0].axis, indices, name, units, cells, makers, readers, balancers, tuple(stops.values()))


def _layers(
    found: nx.MultiGraph[Place], ways: dict[Place, tuple[Step, ...]], nodes: dict[str, Node], end: str
) -> tuple[Layer, ...]:
    layers: dict[str, Layer] = {}
    for place, way in ways.items():
        for name in found.nodes[place][end]:
            layers.setdefault(name, Layer(name, nodes[name].op, way))
    return tuple(layers.values())


def _steps(found: nx.MultiGraph[Place], path: list[Place]) -> Iterator[Step]:
    for here, there in zip(path, path[1:], strict=False):
        reason = next(iter(found.get_edge_data(here, there).values()))
        yield Step(reason["node"], reason["op"], reason["why"], there.tensor, found.nodes[there]["stored"])


def _group(channels: Channels, place: Place, indices: tuple[int, ...]) -> Group:
    """Return the group that channels lie in which the analysis leaves free."""
    ctx = channels.context
    layers = ctx.slices.get(place.tensor) or [ctx.labels[place.tensor]]
    (layer,) = [layer for layer in layers if layer.shrink == place.axis]
    member = rows(layer)[:, indices].max()
    return next(group for group in channels.groups if member in group.cells)
