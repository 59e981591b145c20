"""Samplers: a Gather before a layer that reads a shared stream, so that the layer may drop channels others need.

References: He, Zhang, Sun, "Channel pruning for accelerating very deep neural networks", ICCV 2017 (the sampler of
the first layer of a residual branch).
"""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir.arguments import axis
from ...ir.graph import Graph
from ...ir.shapes import concrete, input_sizes
from ..analysis.channels.groups import Channels
from ..analysis.channels.labels import Contraction
from ..analysis.channels.rules.indexing import takes_all
from ..base import Context, Outcome
from ..order import EXACT

_LEAST_READERS = 2


@dataclass(frozen=True)
class SampleInputs:
    """Put a Gather of all channels before every dense layer whose input channels other layers read as well.

    The channel analysis lets such a Gather take fewer, one group a sampler; what it reads stays whole.
    """

    name: ClassVar[str] = "sample-inputs"
    preserves: ClassVar[frozenset[str]] = EXACT

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Insert samplers; ``drop-samplers`` takes out those that selection left whole."""
        view = context.view(graph)
        channels, layers = view.channels, view.layers
        dense = {name for name, layer in layers.items() if layer.groups == 1 and not layer.columns}
        ends = [end for end in _shared(channels) if end.node in dense and end.labels.shrink is not None]
        for end in ends:
            _insert(graph, end, channels)
        return Outcome(bool(ends), (f"{len(ends)} samplers",), {"samplers": len(ends)})


@dataclass(frozen=True)
class DropSamplers:
    """Take out every Gather that takes all channels in order."""

    name: ClassVar[str] = "drop-samplers"
    preserves: ClassVar[frozenset[str]] = EXACT

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Let the readers of a whole sampler read what it reads."""
        shapes = concrete(graph, input_sizes(graph, 1))
        dropped = 0
        for node in graph.nodes:
            if node.op != "Gather" or graph.is_output(node.outputs[0]):
                continue
            shape = shapes.get(node.inputs[0].name, ())
            if takes_all(node.inputs[1], shape, axis(node, graph.opset, len(shape))):
                graph.replace_uses(node.outputs[0], node.inputs[0])
                dropped += 1
        graph.clean()
        return Outcome(dropped > 0, (f"{dropped} samplers were left whole",))


def _shared(channels: Channels) -> list[Contraction]:
    """Return the contractions of groups that several layers read."""
    owner = np.full(channels.context.registry_size(), -1)
    for number, group in enumerate(channels.groups):
        owner[group.cells] = number
    ends = [end for end in channels.context.contractions if (owner[end.labels.atoms] >= 0).all()]
    read = Counter(number for end in ends for number in np.unique(owner[end.labels.atoms]).tolist())
    return [end for end in ends if all(read[n] >= _LEAST_READERS for n in np.unique(owner[end.labels.atoms]).tolist())]


def _insert(graph: Graph, end: Contraction, channels: Channels) -> None:
    node = graph.node(end.node)
    source, axis = node.inputs[end.operand], end.labels.shrink
    assert axis is not None
    count = channels.context.shapes[source.name][axis]
    out = graph.variable(f"{source.name}_sampled", source.dtype)
    indices = graph.constant(f"{node.name}_sampled", np.arange(count, dtype=np.int64))
    graph.insert("Gather", [source, indices], [out], {"axis": axis}, before=node)
    node.set_input(end.operand, out)
