"""Devices whose time is arithmetic, a literal staircase over channels and a forecast that is off; networks on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from oracle import graph_of
from zoo import feeds

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import Shape, concrete, input_sizes
from optimise_onnx.ir.timing import Device, Timer
from optimise_onnx.passes.allocate.allocate import Allocate
from optimise_onnx.passes.analysis.layers.linear import Linear, linear_layers, spatial_sizes
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager, apply
from optimise_onnx.passes.plan import Decision

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

    A block has ``tread`` channels. The forecast is off by ``pace``, a function of the layer and its channels. Layers in
    another form than in ``known`` take ``strange`` times as long. ``asked`` holds how many graphs were measured, call
    by call.
    """

    tread: int = TREAD
    pace: Pace = even
    node: float = _NODE
    strange: float = 1.0
    known: dict[str, object] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        """Return the true seconds of each."""
        self.asked.append(len(graphs))
        return [self.told(graph, even) for graph in graphs]

    separable = True

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
        return sum(self._layers(graph, pace).values()) + len(graph.nodes) * self.node

    def learn(self, graph: Graph) -> None:
        """Know the layers of a graph."""
        layers, _ = _layers_of(graph)
        self.known = {name: _form(layer) for name, layer in layers.items()}

    def _layers(self, graph: Graph, pace: Pace) -> dict[str, float]:
        layers, shapes = _layers_of(graph)
        return {name: self._seconds(layer, shapes, pace) for name, layer in layers.items()}

    def _seconds(self, layer: Linear, shapes: Mapping[str, Shape], pace: Pace) -> float:
        sizes = spatial_sizes(layer, shapes)
        walk = layer.geometry
        positions = walk.positions(sizes) if walk is not None else int(np.prod(shapes[layer.output])) // layer.fan_out
        read = self._blocks(layer.groups * layer.fan_in // layer.taps)
        channels = layer.groups * layer.fan_out
        own = 1.0 if not self.known or self.known.get(layer.node) == _form(layer) else self.strange
        return own * pace(layer, channels) * layer.taps * positions * read * self._blocks(layer.fan_out) / _SECOND

    def _blocks(self, channels: int) -> int:
        return -(-channels // self.tread)


def _layers_of(graph: Graph) -> tuple[dict[str, Linear], Mapping[str, Shape]]:
    shapes = concrete(graph, input_sizes(graph, 1))
    return linear_layers(graph, shapes), shapes


def _form(layer: Linear) -> object:
    return layer.groups > 1, layer.geometry


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


def ranked(model: onnx.ModelProto, device: Device | None, count: int, forms: str = "") -> tuple[Graph, Context]:
    """Fold a model's constants, rank its channels on ``count`` samples or by weights, and offer layers forms."""
    graph = graph_of(model)
    data = Calibration.from_arrays(feeds(model, 1, count)) if count else None
    shared = Context(OrtRunner(1), graph.copy(), data, devices=None if device is None else lambda _: device)
    PassManager.parse("fold-constants,fold-batch-norm").run(graph, shared)
    shared.original = graph.copy()
    offering = f",offer-forms{{forms={forms}}}" if forms else ""
    PassManager.parse(f"select-channels{{criterion={'obs' if count else 'magnitude'}}}{offering}").run(graph, shared)
    return graph, shared


def decided(graph: Graph, shared: Context, target: str, **options: Any) -> Context:
    """Allocate; return a context with the decision. ``shared`` stays as it is, for other targets."""
    own = replace(shared)
    apply(Allocate(target, **options), graph, own)
    return own


def finished(graph: Graph, shared: Context, decision: Decision | None = None) -> Graph:
    """Return a copy on which what was decided is carried out."""
    plan = replace(shared.plan, decision=decision or shared.plan.decision)
    copy, own = graph.copy(), replace(shared, plan=plan, _view=None)
    steps = ["remove-channels", *(["decompose"] if plan.decision.forms is not None else [])]
    PassManager.parse(",".join([*steps, "reconstruct"]), given=plan.facts).run(copy, own)
    return copy


def kept(shared: Context, decision: Decision | None = None) -> dict[str, tuple[int, int]]:
    """Return the rounds that every ranked group keeps, and all it had, by name."""
    ranking, widths = shared.plan.ranking, (decision or shared.plan.decision).widths
    assert ranking is not None and widths is not None
    groups = [group for group in ranking.channels.groups if group.name in ranking.groups]
    return {group.name: (group.width - widths.get(group.name, 0), group.width) for group in groups}
