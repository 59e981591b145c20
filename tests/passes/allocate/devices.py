"""Devices whose time is arithmetic: a literal staircase over channels, and a forecast of it that is off."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import Shape, concrete, input_sizes
from optimise_onnx.ir.timing import Device, Timer
from optimise_onnx.passes.analysis.linear import Linear, linear_layers, spatial_sizes

TREAD = 4
_SECOND = 1e9  # blocks of channels worked on in a second
_NODE = 2e-8

Pace = Callable[[Linear, int], float]


def even(_layer: Linear, _channels: int) -> float:
    """Every layer is told as it is."""
    return 1.0


def flattering(_layer: Linear, channels: int) -> float:
    """Narrow layers are told as quicker than they are, and wide ones as slower: neither cancels in a share."""
    return 0.7 + 0.5 * min(1.0, channels / 48)


@dataclass
class Staircase:
    """Time is taps x positions x blocks read x blocks made, summed over layers, and a constant for every node.

    A block has ``tread`` channels. The forecast is off by ``pace``, a function of the layer and its channels;
    ``extra`` seconds are added for every node beyond ``nodes``: what a layer in another form costs. ``asked`` holds how
    many graphs were measured, call by call.
    """

    tread: int = TREAD
    pace: Pace = even
    node: float = _NODE
    extra: float = 0.0
    nodes: int = 0
    asked: list[int] = field(default_factory=list)

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        """Return the true seconds of each."""
        self.asked.append(len(graphs))
        return [self.told(graph, even) for graph in graphs]

    def multiple(self) -> int:
        """Return the tread."""
        return self.tread

    def layers(self, graph: Graph) -> Mapping[str, float]:
        """Return the true seconds of each layer."""
        return self._layers(graph, even)

    def forecast(self, _graph: Graph, _others: Sequence[Graph]) -> Timer:
        """Return a timer that is off by the pace."""
        return _Forecast(self)

    def told(self, graph: Graph, pace: Pace) -> float:
        """Return the seconds of a graph whose layers are told as slower by a factor."""
        count = len(graph.nodes)
        over = max(0, count - self.nodes) if self.nodes else 0
        return sum(self._layers(graph, pace).values()) + count * self.node + over * self.extra

    def _layers(self, graph: Graph, pace: Pace) -> dict[str, float]:
        shapes = concrete(graph, input_sizes(graph, 1, 32))
        found = linear_layers(graph, shapes)
        return {name: self._seconds(layer, shapes, pace) for name, layer in found.items()}

    def _seconds(self, layer: Linear, shapes: Mapping[str, Shape], pace: Pace) -> float:
        sizes = spatial_sizes(layer, shapes)
        walk = layer.geometry
        positions = walk.positions(sizes) if walk is not None else int(np.prod(shapes[layer.output])) // layer.fan_out
        read = self._blocks(layer.groups * layer.fan_in // layer.taps)
        channels = layer.groups * layer.fan_out
        return pace(layer, channels) * layer.taps * positions * read * self._blocks(layer.fan_out) / _SECOND

    def _blocks(self, channels: int) -> int:
        return -(-channels // self.tread)


@dataclass(frozen=True)
class _Forecast:
    """Tells times at the device's pace."""

    device: Staircase

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        return [self.device.told(graph, self.device.pace) for graph in graphs]


def share(device: Device, graph: Graph, original: Graph) -> float:
    """Return the time of a graph over that of the original."""
    now, before = device.times([graph, original])
    return now / before
