"""Strided kernels: convolutions that keep a regular part of every kernel, the same for all or for a set of input maps.

One pattern becomes one convolution with a smaller, maybe dilated kernel. Two patterns become a Gather and a
convolution for each set of input maps, and an Add. Weights are fitted again on the taps that stay; see ``taps``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from ...ir.geometry import Geometry
from ...ir.graph import Array, Graph, Node
from ..analysis.layers.forms import Form
from ..analysis.layers.linear import Linear
from ..analysis.statistics.moments import Floats, Ints
from .gathered import conv_attributes, cropped, output_before, picked, set_attributes, weight_constants
from .support_search import BY_SEARCH, searched
from .supports import choose, losses, solve_on
from .taps import Counts, Taps, best_taps, divide, explicit, placements, rows_of, shapes

_SHARES = (0.25, 0.5)
_MOST_AXES = 2
_CUT = 4  # numbers an axis that a Slice stores


@dataclass(frozen=True, eq=False)
class Part:
    """Input maps (n,), ascending, and the taps that they keep."""

    maps: Ints
    taps: Taps

    def rows(self, kernel: Counts) -> Ints:
        """Return the rows (n, t) of the layer's matrix that this part keeps."""
        return rows_of(self.maps, self.taps.flat(kernel), prod(kernel))


@dataclass(frozen=True, eq=False)
class StridedLayer:
    """A fitted strided layer: ``walk`` of the whole kernel with explicit pads, ``matrix`` (1, d, m) zero off the parts.

    In the graph the first part is the layer's own node, with the bias.
    """

    walk: Geometry
    parts: tuple[Part, ...]
    matrix: Floats

    def refit(self, cov: Array, cross: Array) -> "StridedLayer":
        """Fit again on the same taps. Raises NumericalError on NaN or Inf."""
        rows = np.concatenate([part.rows(self.walk.kernel).ravel() for part in self.parts])
        return replace(self, matrix=solve_on(cov[0], cross[0], np.sort(rows))[None])

    def weights(self) -> tuple[Array, ...]:
        """Return each part's weight, (m, n, *count)."""
        blocks = [(self.matrix[0][part.rows(self.walk.kernel)], part.taps.count) for part in self.parts]
        return tuple(block.transpose(2, 0, 1).reshape(block.shape[2], len(block), *count) for block, count in blocks)

    def write(self, graph: Graph, node: Node, layer: Linear) -> tuple[str, ...]:
        """Write one convolution a part, and their sum under the name of the old output."""
        source, width = node.inputs[0], layer.fan_in // layer.taps
        stored = weight_constants(graph, node, layer, self.weights())
        walks = [part.taps.walk(self.walk) for part in self.parts]
        read = [
            cropped(graph, picked(graph, source, part.maps, width, node), walk, node)
            for part, walk in zip(self.parts, walks, strict=True)
        ]
        set_attributes(node, conv_attributes(walks[0]))
        node.set_inputs([read[0], stored[0], *node.inputs[2:]])
        if len(read) == 1:
            return (node.name,)
        inner, out = output_before(graph, node, "part")
        other = graph.variable(f"{out.name}_part", out.dtype)
        second = graph.insert("Conv", [read[1], stored[1]], [other], conv_attributes(walks[1]), before=node)
        graph.insert("Add", [inner, other], [out])
        graph.sort()
        return node.name, second.name


@dataclass(frozen=True)
class StridedForm:
    """How many taps an axis, and of how many input maps: one set, or two that share the maps out.

    ``searched``: a particle filter shares them out.
    """

    walk: Geometry
    sets: tuple[tuple[Counts, int], ...]
    searched: bool = False

    @property
    def kind(self) -> str:
        """Say the numbers of taps."""
        return f"strided {' + '.join('x'.join(map(str, counts)) for counts, _ in self.sets)}"

    @property
    def text(self) -> str:
        """Say the numbers of taps and of maps."""
        words = ["x".join(map(str, counts)) + f" of {maps} maps" for counts, maps in self.sets]
        return f"strided {' + '.join(words)}{BY_SEARCH if self.searched else ''}"

    def macs(self, layer: Linear, sizes: Sequence[int]) -> int:
        """Count multiply-accumulates for one sample."""
        return layer.positions(sizes) * self.parameters(layer)

    def parameters(self, layer: Linear) -> int:
        """Count weights."""
        return layer.fan_out * sum(prod(counts) * maps for counts, maps in self.sets)

    def indices(self, layer: Linear) -> int:
        """Count the maps of two parts, and the numbers that cut an input, where one has to be cut."""
        maps = layer.fan_in // layer.taps if len(self.sets) > 1 else 0
        return maps + _CUT * len(self.walk.kernel) * sum(self._cuts(counts) for counts, _ in self.sets)

    def _cuts(self, counts: Counts) -> bool:
        walks = (taps.walk(self.walk) for taps in placements(self.walk, counts))
        return any(min(*walk.begin, *walk.end) < 0 for walk in walks)

    def fit(self, cov: Array, cross: Array) -> StridedLayer:
        """Choose strides, offsets and the maps that take the first pattern, then fit. Raises NumericalError."""
        patterns = [best_taps(cov[0], cross[0], self.walk, counts) for counts, _ in self.sets]
        maps = np.arange(len(cov[0]) // prod(self.walk.kernel))
        sides = [maps]
        if len(patterns) > 1:
            choosing = searched if self.searched else choose
            first = divide(cov[0], cross[0], self.walk.kernel, patterns, self.sets[0][1], choosing)
            sides = [maps[first], maps[~first]]
        parts = tuple(Part(side, taps) for side, taps in zip(sides, patterns, strict=True))
        return StridedLayer(self.walk, parts, cross).refit(cov, cross)


@dataclass(frozen=True)
class Strided:
    """Fewer taps an input map, in ordinary convolutions over one or two axes; automatic padding only without stride.

    ``searched``: a particle filter chooses the maps.
    """

    name: str = "strided"
    searched: bool = False

    def forms(self, layer: Linear) -> Sequence[Form]:
        """List common patterns, and the whole or half kernel for some maps beside one tap for the others."""
        walk = None if layer.geometry is None or layer.groups > 1 else explicit(layer.geometry)
        if walk is None or len(walk.kernel) > _MOST_AXES:
            return []
        maps = layer.fan_in // layer.taps
        sets = [((counts, maps),) for counts in shapes(walk.kernel)] + _mixed(walk.kernel, maps)
        able = [
            StridedForm(walk, each, self.searched)
            for each in sets
            if all(placements(walk, counts) for counts, _ in each)
        ]
        return sorted(able, key=lambda form: form.parameters(layer))

    def estimates(self, layer: Linear, cov: Array, cross: Array) -> Array:
        """Return what each form loses; see :func:`losses`."""
        return losses(self.forms(layer), cov, cross)


def _mixed(kernel: Counts, maps: int) -> list[tuple[tuple[Counts, int], ...]]:
    """List pairs of patterns that differ, each for at least one map."""
    one, half = (1,) * len(kernel), tuple((size + 1) // 2 for size in kernel)
    line, across = (kernel[0], *one[1:]), (*one[:-1], kernel[-1])
    pairs = [(kernel, one, share) for share in _SHARES] + [(kernel, half, 0.5), (line, across, 0.5)]
    counted = [(first, second, round(share * maps)) for first, second, share in pairs if first != second]
    return [((first, n), (second, maps - n)) for first, second, n in counted if 0 < n < maps]
