"""Kernel blocks: a grouped convolution whose groups read chosen input maps, in the place of a dense one.

``Gather(maps of each group) -> grouped Conv -> Gather(outputs in their old order)``; a Gather that would change
nothing is left out. The layer's node is the grouped convolution and holds the bias in its own order: a bias there costs
nothing to run, one after the second Gather would be an operator more. :attr:`BlockLayer.order` says that order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...ir.graph import Array, Graph, Node, Tensor
from ..analysis.layers.forms import Form
from ..analysis.layers.linear import Linear, is_stored, stored_array
from ..analysis.statistics.moments import Floats, Ints
from .gathered import output_before, picked, weight_constants
from .grouped_math import group_outputs, importance, refine, solve_groups
from .support_search import BY_SEARCH, searched
from .supports import choose, losses, solve_on
from .taps import rows_of

_MENU = ((8, 0.125), (1, 0.25), (4, 0.25), (8, 0.25), (1, 0.5), (2, 0.5), (4, 0.5), (1, 0.75), (2, 0.75))
"""Groups and the share of the maps that each reads: no channel is copied more than twice on average."""

_MULTIPLE = 16
_STARTS = 2
_SEED = 0


@dataclass(frozen=True, eq=False)
class BlockLayer:
    """A fitted grouped layer: ``group`` (m,) of each output, ``maps`` (groups, count) read, ``matrix`` (1, d, m)."""

    kernel: tuple[int, ...]
    group: Ints
    maps: Ints
    matrix: Floats

    @property
    def order(self) -> Ints | None:
        """Which output of the layer each output of its node is, (m,); None where they are the same."""
        order = np.argsort(self.group, kind="stable")
        return None if np.array_equal(order, np.arange(len(order))) else order

    def refit(self, cov: Array, cross: Array) -> "BlockLayer":
        """Fit again with the same groups and maps. Raises NumericalError on NaN or Inf."""
        taps = int(np.prod(self.kernel))
        return replace(self, matrix=solve_groups(cov[0], cross[0], self.group, self.maps, taps)[None])

    def weights(self) -> tuple[Array, ...]:
        """Return the grouped weight (m, count, *kernel), outputs in the order of the groups."""
        taps = int(np.prod(self.kernel))
        rows = [rows_of(chosen, np.arange(taps), taps) for chosen in self.maps]
        blocks = [self.matrix[0][rows[g]][..., self.group == g].transpose(2, 0, 1) for g in range(len(rows))]
        return (np.concatenate(blocks).reshape(len(self.group), -1, *self.kernel),)

    def write(self, graph: Graph, node: Node, layer: Linear) -> tuple[str, ...]:
        """Turn the node into the grouped convolution, between the Gathers that it needs."""
        (weight,) = weight_constants(graph, node, layer, self.weights())
        source = picked(graph, node.inputs[0], self.maps.ravel(), layer.fan_in // layer.taps, node)
        biases = [self._reordered(graph, node, tensor) for tensor in node.inputs[2:] if tensor.name]
        node.set_inputs([source, weight, *biases])
        node.set_attribute("group", len(self.maps))
        if self.order is not None:
            inner, out = output_before(graph, node, "grouped")
            places = graph.constant(f"{node.name}_outputs", np.argsort(self.order).astype(np.int64))
            graph.insert("Gather", [inner, places], [out], {"axis": 1})
            graph.sort()
        return (node.name,)

    def _reordered(self, graph: Graph, node: Node, bias: Tensor) -> Tensor:
        if self.order is None:
            return bias
        if is_stored(bias):
            return graph.constant(f"{node.name}_bias", stored_array(bias, graph.opset)[self.order])
        out = graph.variable(f"{bias.name}_reordered", bias.dtype)
        places = graph.constant(f"{node.name}_order", self.order.astype(np.int64))
        graph.insert("Gather", [bias, places], [out], {"axis": 0}, before=node)
        return out


@dataclass(frozen=True)
class BlockForm:
    """``groups`` of outputs, each reading ``count`` input maps. ``searched``: a particle filter chooses these."""

    kernel: tuple[int, ...]
    groups: int
    count: int
    searched: bool = False

    @property
    def kind(self) -> str:
        """Say how many groups."""
        return f"{self.groups} groups" if self.groups > 1 else "fewer maps"

    @property
    def text(self) -> str:
        """Say how many groups, and how many maps each reads."""
        return f"{self.groups} groups of {self.count} maps{BY_SEARCH if self.searched else ''}"

    def macs(self, layer: Linear, sizes: Sequence[int]) -> int:
        """Count multiply-accumulates for one sample."""
        return layer.positions(sizes) * self.parameters(layer)

    def parameters(self, layer: Linear) -> int:
        """Count weights."""
        return layer.fan_out * self.count * layer.taps

    def indices(self, layer: Linear) -> int:
        """Count the maps that are read, and the places of the outputs."""
        return self.groups * self.count + (layer.fan_out if self.groups > 1 else 0)

    def fit(self, cov: Array, cross: Array) -> BlockLayer:
        """Group the outputs, choose the maps of each group, then fit. Raises NumericalError."""
        taps = int(np.prod(self.kernel))
        group = np.zeros(cross.shape[2], np.int64)
        if self.groups > 1:
            whole = solve_on(cov[0], cross[0], np.arange(len(cov[0])))
            gain = importance(cov[0], whole, taps)
            group = group_outputs(gain, self.groups, self.count, _STARTS, np.random.default_rng(_SEED))
        group, maps = refine(cov[0], cross[0], group, self.count, taps, searched if self.searched else choose)
        return BlockLayer(self.kernel, group, maps, cross).refit(cov, cross)


@dataclass(frozen=True)
class GroupedKernels:
    """Fewer input maps an output, in ordinary convolutions; one group is a Gather before a narrower convolution.

    ``multiple``: what the outputs and the maps of a group, where there are several, come in multiples of. On processors
    onnxruntime has fast grouped convolutions for multiples of 16 alone; others take longer than the dense layer.
    ``searched``: a particle filter chooses the maps.
    """

    multiple: int = _MULTIPLE
    name: str = "grouped"
    searched: bool = False

    def forms(self, layer: Linear) -> Sequence[Form]:
        """List numbers of groups that divide the outputs, with some shares of the maps each."""
        if layer.geometry is None or layer.groups > 1:
            return []
        maps = layer.fan_in // layer.taps
        able = dict.fromkeys((g, int(share * maps)) for g, share in _MENU if self._suits(g, share * maps, layer))
        return [BlockForm(layer.geometry.kernel, g, count, self.searched) for g, count in able]

    def estimates(self, layer: Linear, cov: Array, cross: Array) -> Array:
        """Return what each form loses; see :func:`losses`."""
        return losses(self.forms(layer), cov, cross)

    def _suits(self, groups: int, count: float, layer: Linear) -> bool:
        if groups == 1:
            return count >= 1
        return count > 0 and count % self.multiple == 0 == layer.fan_out % (groups * self.multiple)
