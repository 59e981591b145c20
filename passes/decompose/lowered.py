"""Lowered convolutions: the rows of the input matrix that stay, laid out once, times a matrix.

A row is one tap of one input map. Rows are cut out tap by tap (Pad, Slice, Gather), joined, and multiplied by the
weights that stay (Transpose, MatMul, Transpose). Any set of rows will do, which no smaller kernel allows, but on a
processor a convolution is usually faster: for backends where matrix products win, so never offered unless asked for.

Reference: Anwar, Hwang, Sung, "Structured pruning of deep convolutional neural networks", ACM JETC 13(3) 2017
(arXiv 1512.08571): the lowered form of strided sparsity. The choice of single rows and the operators are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...ir.geometry import Geometry
from ...ir.graph import Array, Graph, Node, Tensor
from ..analysis.layers.forms import Form
from ..analysis.layers.linear import Linear
from ..analysis.statistics.moments import Floats, Ints
from .gathered import output_before, picked, set_attributes, sliced, weight_constants
from .supports import Choice, choose, losses, solve_on
from .taps import explicit

_PAD_BY_INPUTS = 11


@dataclass(frozen=True, eq=False)
class LoweredLayer:
    """A fitted lowered layer: ``rows`` (q,) that stay, by tap and then by map, and ``matrix`` (1, d, m)."""

    walk: Geometry
    rows: Ints
    matrix: Floats

    def refit(self, cov: Array, cross: Array) -> "LoweredLayer":
        """Fit again on the same rows. Raises NumericalError on NaN or Inf."""
        return replace(self, matrix=solve_on(cov[0], cross[0], np.sort(self.rows))[None])

    def weights(self) -> tuple[Array, ...]:
        """Return the weights of the rows, (q, m)."""
        return (self.matrix[0][self.rows],)

    def write(self, graph: Graph, node: Node, layer: Linear) -> tuple[str, ...]:
        """Turn the node into the MatMul; a bias becomes an Add after it, as ``write_bias`` would have it."""
        (weight,) = weight_constants(graph, node, layer, self.weights())
        rank = 2 + len(self.walk.kernel)
        joined = self._joined(graph, node, layer)
        last = graph.variable(f"{joined.name}_last", joined.dtype)
        graph.insert("Transpose", [joined], [last], {"perm": [0, *range(2, rank), 1]}, before=node)
        biases = [tensor for tensor in node.inputs[2:] if tensor.name]
        inner, out = output_before(graph, node, "lowered")
        node.set_op("MatMul")
        set_attributes(node, {})
        node.set_inputs([last, weight])
        for bias in biases:
            summed = graph.variable(f"{out.name}_biased", out.dtype)
            graph.insert("Add", [inner, bias], [summed])
            inner = summed
        graph.insert("Transpose", [inner], [out], {"perm": [0, rank - 1, *range(1, rank - 1)]})
        graph.sort()
        return (node.name,)

    def _joined(self, graph: Graph, node: Node, layer: Linear) -> Tensor:
        """Lay out the rows along the channel axis, one pixel an output position."""
        padded = self._padded(graph, node)
        tap_of, map_of = self.rows % layer.taps, self.rows // layer.taps
        width = layer.fan_in // layer.taps
        parts = []
        for tap in np.unique(tap_of):
            seen = self._seen(graph, padded, int(tap), node)
            parts.append(picked(graph, seen, map_of[tap_of == tap], width, node))
        if len(parts) == 1:
            return parts[0]
        joined = graph.variable(f"{node.name}_rows", padded.dtype)
        graph.insert("Concat", parts, [joined], {"axis": 1}, before=node)
        return joined

    def _padded(self, graph: Graph, node: Node) -> Tensor:
        source = node.inputs[0]
        if not any((*self.walk.begin, *self.walk.end)):
            return source
        padded = graph.variable(f"{source.name}_padded", source.dtype)
        amounts = [0, 0, *self.walk.begin, 0, 0, *self.walk.end]
        if graph.opset < _PAD_BY_INPUTS:
            graph.insert("Pad", [source], [padded], {"pads": amounts}, before=node)
            return padded
        stored = graph.constant(f"{node.name}_pads", np.asarray(amounts, np.int64))
        graph.insert("Pad", [source, stored], [padded], before=node)
        return padded

    def _seen(self, graph: Graph, padded: Tensor, tap: int, node: Node) -> Tensor:
        """Cut out what one tap sees: from its place to as far before the end as the kernel reaches beyond it."""
        starts = np.asarray(np.unravel_index(tap, self.walk.kernel)) * self.walk.dilations
        beyond = self.walk.reach() - 1 - starts
        ends = [-int(rest) or None for rest in beyond]
        cuts = [slice(*numbers) for numbers in zip(starts.tolist(), ends, self.walk.strides, strict=True)]
        return sliced(graph, padded, dict(enumerate(cuts)), node)


@dataclass(frozen=True)
class LoweredForm:
    """``count`` rows that stay, whichever explain most."""

    walk: Geometry
    count: int

    @property
    def kind(self) -> str:
        """Name the form without its size."""
        return "im2col"

    @property
    def text(self) -> str:
        """Say how many rows."""
        return f"lowered to {self.count} rows"

    def macs(self, layer: Linear, sizes: Sequence[int]) -> int:
        """Count multiply-accumulates for one sample."""
        return layer.positions(sizes) * self.parameters(layer)

    def parameters(self, layer: Linear) -> int:
        """Count weights."""
        return layer.fan_out * self.count

    def fit(self, cov: Array, cross: Array) -> LoweredLayer:
        """Choose the rows, then fit. Raises NumericalError on NaN or Inf."""
        every = np.arange(len(cov[0]))[:, None]
        choice = Choice(every[:, :0], every, every[:, :0])
        rows = np.flatnonzero(choose(cov[0], cross[0], choice, self.count))
        tap_of = rows % int(np.prod(self.walk.kernel))
        return LoweredLayer(self.walk, rows[np.argsort(tap_of, kind="stable")], cross).refit(cov, cross)


@dataclass(frozen=True)
class Lowered:
    """Shares of the rows that stay, in ordinary convolutions; not among the families that are offered by themselves."""

    shares: tuple[float, ...] = (0.25, 0.5, 0.75)
    name: str = "lowered"

    def forms(self, layer: Linear) -> Sequence[Form]:
        """List one form a share."""
        walk = None if layer.geometry is None or layer.groups > 1 else explicit(layer.geometry)
        if walk is None:
            return []
        return [LoweredForm(walk, max(1, round(share * layer.fan_in))) for share in self.shares]

    def estimates(self, layer: Linear, cov: Array, cross: Array) -> Array:
        """Return what each form loses; see :func:`losses`."""
        return losses(self.forms(layer), cov, cross)
