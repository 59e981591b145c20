"""Every layer before and after: its width, what it costs, and how long it takes here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

from ..backends.ort import OrtRunner
from ..backends.ort.profiler import profile
from ..ir.cost import Cost, all_shapes, cost, is_layer
from ..ir.feeds import Feeds
from ..ir.graph import Graph, Node
from ..ir.shapes import Shape
from ..ir.stored import makers
from .profile import Profile

_CHANNELS_LAST = {"Gemm", "MatMul", "MatMulInteger", "LSTM", "GRU", "RNN", "Gather"}
_SECONDS = 0.5
_MILLISECOND = 1e-3  # of a microsecond

Pair = tuple[float, float]


@dataclass(frozen=True)
class LayerLine:
    """A layer of either model, each pair before and after; the second ``width`` is 0 where the layer is gone, the first
    where it is new. ``milliseconds`` are of one run under onnxruntime's profiler; None where none was measured.
    """

    name: str
    op: str
    width: tuple[int, int]
    macs: tuple[int, int]
    parameters: tuple[int, int]
    milliseconds: Pair | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def layer_lines(before: Graph, after: Graph) -> tuple[LayerLine, ...]:
    """Pair the layers of two graphs by name, in the order of the first one; new ones come last."""
    olds, news = _known(before), _known(after)
    names = [*olds, *(name for name in news if name not in olds)]
    return tuple(_line(name, olds.get(name, _Known()), news.get(name, _Known())) for name in names)


def timed(lines: Sequence[LayerLine], models: Sequence[Graph], feeds: Sequence[Feeds], threads: int) -> Timed:
    """Measure both models layer by layer. Raises InvalidModelError as sessions do."""
    found = Profile(tuple(profile(models, feeds, OrtRunner(threads, spinning=True), _SECONDS)))
    known: dict[str, Pair] = {node.layer: (0.0, 0.0) for node in found.models[0]}
    for node in found.models[0]:  # layers that are gone took their time before
        known[node.layer] = (known[node.layer][0] + node.microseconds, 0.0)
    known |= {line.layer: (line.microseconds[0], line.microseconds[1]) for line in found.by_layer() if line.layer}
    scaled = {name: (was * _MILLISECOND, now * _MILLISECOND) for name, (was, now) in known.items()}
    told = tuple(replace(line, milliseconds=scaled.get(line.name)) for line in lines)
    was, now = found.total().microseconds
    return Timed(told, (was * _MILLISECOND, now * _MILLISECOND))


@dataclass(frozen=True)
class Timed:
    """Layers with their milliseconds, and those of a whole run under the profiler, before and after."""

    lines: tuple[LayerLine, ...]
    whole: Pair

    @property
    def elsewhere(self) -> Pair:
        """Milliseconds that belong to no layer of the list."""
        known = [line.milliseconds for line in self.lines if line.milliseconds is not None]
        was, now = (sum(pair[place] for pair in known) for place in range(2))
        return max(self.whole[0] - was, 0.0), max(self.whole[1] - now, 0.0)


@dataclass(frozen=True)
class _Known:
    op: str = ""
    width: int = 0
    cost: Cost = Cost()


def _known(graph: Graph) -> dict[str, _Known]:
    shapes = all_shapes(graph)
    costs = cost(graph, shapes)
    layers = [node for node in graph.nodes if is_layer(node)]
    made = makers(graph, layers)
    return {
        node.name: _Known(
            node.op, width(node, shapes), sum((costs[each] for each in made[node.name]), costs[node.name])
        )
        for node in layers
    }


def _line(name: str, old: _Known, new: _Known) -> LayerLine:
    macs, parameters = ((getattr(old.cost, of), getattr(new.cost, of)) for of in ("macs", "parameters"))
    return LayerLine(name, old.op or new.op, (old.width, new.width), macs, parameters)


def width(node: Node, shapes: Mapping[str, Shape]) -> int:
    """Return how many channels a layer makes, 0 where its shape is not known: axis 1 of images, the last of rows."""
    shape = shapes.get(node.outputs[0].name, ())
    if len(shape) < 2:
        return int(prod(shape)) if shape else 0
    return int(shape[-1] if node.op in _CHANNELS_LAST else shape[1])
