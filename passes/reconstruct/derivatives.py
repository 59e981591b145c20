"""A chain of layers as small graphs: its output, how that changes with the first layer, and the adjoint of that map."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.graph import Array, Graph, Node, Tensor
from ...ir.runner import Runner
from ...ir.shapes import Shape
from ..analysis.layers.linear import Linear, spatial_sizes, stored_weight
from ..analysis.layers.writing import stored_bias
from .chain import Chain, limits

OPSET = 17
_FLOAT = 1


@dataclass(frozen=True)
class Passed:
    """One run of the tail: ``read`` by the last layer, its ``out``, and ``inner``: where activations pass, 0 or 1."""

    read: Array
    out: Array
    inner: dict[str, Array]


class Derivatives:
    """Runs a chain on batches, cut behind its first layer: the head is linear in that layer's weight and bias, so its
    output need not be computed anew when they move along a line. Weights are arguments, as stored.
    """

    def __init__(
        self, graph: Graph, chain: Chain, layers: Mapping[str, Linear], shapes: Mapping[str, Shape], runner: Runner
    ) -> None:
        first = _Link.of(graph, graph.node(chain.first.node), layers, shapes, "w0")
        rest = [_Link.of(graph, node, layers, shapes, None) for node in chain.between]
        rest.append(_Link.of(graph, graph.node(chain.last.node), layers, shapes, "w1"))
        graphs = _head(first), _tail(rest), _change(rest), _adjoint(rest)
        self._head, self._tail, self._change, self._adjoint = map(runner.session, graphs)

    def head(self, x: Array, first: tuple[Array, Array]) -> Array:
        """Return what the first layer gives for a batch, or how that changes when ``first`` is a change."""
        return self._head.run({"x": x, "w0": first[0], "b0": first[1]})["out"]

    def tail(self, inner: Array, last: tuple[Array, Array]) -> Passed:
        """Run the rest of the chain on the first layer's output."""
        found = self._tail.run({"x": inner, "w1": last[0], "b1": last[1]})
        return Passed(found.pop("read"), found.pop("out"), found)

    def change(self, inner: Array, at: Passed, last: Array) -> Array:
        """Return the first-order change of the chain's output when that of the first layer changes by ``inner``."""
        return self._change.run({"x": inner, "w1": last, **at.inner})["out"]

    def adjoint(self, slope: Array, at: Passed, last: Array) -> Array:
        """Carry a slope at the chain's output back to the first layer's output."""
        return self._adjoint.run({"x": slope, "w1": last, **at.inner})["out"]


@dataclass(frozen=True)
class _Link:
    """One node of a chain: a layer with its weight (an input called ``weight``, else stored), or an activation."""

    node: Node
    layer: Linear | None
    sizes: tuple[int, ...] = ()
    weight: str | None = None
    stored: tuple[Array, Array] | None = None
    limits: tuple[float, float] = (0.0, 0.0)

    @property
    def rectifies(self) -> bool:
        return self.limits == (0.0, np.inf)

    @staticmethod
    def of(
        graph: Graph, node: Node, layers: Mapping[str, Linear], shapes: Mapping[str, Shape], weight: str | None
    ) -> "_Link":
        layer = layers.get(node.name)
        if layer is None:
            bounds = limits(node, graph.opset)
            assert bounds is not None
            return _Link(node, None, limits=bounds)
        sizes = spatial_sizes(layer, shapes)
        if weight is not None:
            return _Link(node, layer, sizes, weight)
        value = stored_weight(graph, node, layer).astype(np.float32)
        return _Link(node, layer, sizes, None, (value, stored_bias(graph, node, layer).astype(np.float32)))


class _Sheet:
    """An empty graph being filled: every method adds a node and returns its output."""

    def __init__(self, inputs: Iterable[str]) -> None:
        self.graph = Graph.empty(OPSET)
        self.named = {name: self.graph.variable(name, np.float32) for name in inputs}
        self.graph.set_inputs(list(self.named.values()))

    def add(self, op: str, *inputs: Tensor, dtype: Any = np.float32, **attributes: Any) -> Tensor:
        out = self.graph.variable(f"{op}_out", dtype)
        self.graph.insert(op, inputs, [out], attributes)
        return out

    def constant(self, value: Array | float) -> Tensor:
        return self.graph.constant("value", np.asarray(value, np.float32))

    def weight(self, link: _Link) -> Tensor:
        if link.weight is not None:
            return self.named[link.weight]
        assert link.stored is not None
        return self.constant(link.stored[0])

    def linear(self, link: _Link, x: Tensor, bias: Tensor | None) -> Tensor:
        """Apply a layer; without ``bias`` its linear part."""
        assert link.layer is not None
        walk, weight = link.layer.geometry, self.weight(link)
        if walk is not None:
            begin, end = walk.pads(link.sizes)
            operands = [weight, *([bias] if bias else [])]
            if narrows(link.layer, (*begin, *end)):
                operands[0] = self.turned(weight, len(begin))
                pads = [size - 1 - pad for size, pad in zip(2 * walk.kernel, (*begin, *end), strict=True)]
                return self.add("ConvTranspose", x, *operands, pads=pads)
            form = {"strides": walk.strides, "dilations": walk.dilations, "pads": (*begin, *end)}
            return self.add("Conv", x, *operands, group=link.layer.groups, **form)
        product = self.add("MatMul", x, self.add("Transpose", weight) if link.layer.transposed else weight)
        return self.add("Add", product, bias) if bias is not None else product

    def turned(self, weight: Tensor, dims: int) -> Tensor:
        """Exchange outputs and inputs of a kernel and mirror it, so that its transpose is the convolution itself."""
        axes = tuple(range(2, 2 + dims))
        back = [self.graph.constant("back", np.full(dims, value)) for value in (-1, np.iinfo(np.int64).min)]
        steps = [self.graph.constant("steps", np.asarray(values)) for values in (axes, np.full(dims, -1))]
        return self.add("Slice", self.add("Transpose", weight, perm=(1, 0, *axes)), *back, *steps)

    def transposed(self, link: _Link, slope: Tensor) -> Tensor:
        """Apply the transpose of a layer's linear part."""
        assert link.layer is not None
        walk, weight = link.layer.geometry, self.weight(link)
        if walk is None:
            return self.add("MatMul", slope, weight if link.layer.transposed else self.add("Transpose", weight))
        begin, end = walk.pads(link.sizes)
        left = (np.add(link.sizes, np.add(begin, end)) - walk.reach()) % np.asarray(walk.strides)
        form = {"strides": walk.strides, "dilations": walk.dilations, "pads": (*begin, *end)}
        return self.add(
            "ConvTranspose", slope, weight, group=link.layer.groups, output_padding=tuple(map(int, left)), **form
        )

    def activation(self, link: _Link, x: Tensor) -> Tensor:
        """Cut off what lies outside an activation's limits."""
        low, high = link.limits
        return self.add("Relu", x) if link.rectifies else self.add("Clip", x, self.constant(low), self.constant(high))

    def passes(self, link: _Link, x: Tensor) -> Tensor:
        """Mark where an activation passes its input on, 0 or 1."""
        low, high = (self.constant(value) for value in link.limits)
        inside = self.add("Greater", x, low, dtype=bool)
        if not link.rectifies:
            inside = self.add("And", inside, self.add("Less", x, high, dtype=bool), dtype=bool)
        return self.add("Cast", inside, to=_FLOAT)

    def done(self, **outputs: Tensor) -> Graph:
        self.graph.set_outputs([self._called(name, tensor) for name, tensor in outputs.items()])
        return self.graph

    def _called(self, name: str, tensor: Tensor) -> Tensor:
        out = self.graph.variable(name, np.float32)
        self.graph.insert("Identity", [tensor], [out])
        return out


def narrows(layer: Linear, pads: Sequence[int]) -> bool:
    """Whether a convolution is quicker as the transpose of one that widens.

    A convolution copies every input once a tap, its transpose every output: the smaller of the two is quicker.
    """
    walk = layer.geometry
    if walk is None or layer.groups > 1 or layer.taps == 1 or {*walk.strides, *walk.dilations} != {1}:
        return False
    fits = all(pad < size for size, pad in zip(2 * walk.kernel, pads, strict=True))
    return fits and layer.fan_out * layer.taps < layer.fan_in


def _marks(links: list[_Link]) -> dict[int, str]:
    return {place: f"at_{place}" for place, link in enumerate(links) if link.layer is None}


def _head(first: _Link) -> Graph:
    sheet = _Sheet(("x", "w0", "b0"))
    return sheet.done(out=sheet.linear(first, sheet.named["x"], sheet.named["b0"]))


def _tail(links: list[_Link]) -> Graph:
    sheet = _Sheet(("x", "w1", "b1"))
    x, inner, marks = sheet.named["x"], dict[str, Tensor](), _marks(links)
    for place, link in enumerate(links):
        read = x
        if link.layer is None:
            inner[marks[place]] = sheet.passes(link, x)
            x = sheet.activation(link, x)
        else:
            x = sheet.linear(link, x, sheet.constant(link.stored[1]) if link.stored else sheet.named["b1"])
    return sheet.done(read=read, out=x, **inner)


def _change(links: list[_Link]) -> Graph:
    marks = _marks(links)
    sheet = _Sheet(("x", "w1", *marks.values()))
    x = sheet.named["x"]
    for place, link in enumerate(links):
        x = sheet.linear(link, x, None) if link.layer else sheet.add("Mul", x, sheet.named[marks[place]])
    return sheet.done(out=x)


def _adjoint(links: list[_Link]) -> Graph:
    marks = _marks(links)
    sheet = _Sheet(("x", "w1", *marks.values()))
    x = sheet.named["x"]
    for place, link in reversed(list(enumerate(links))):
        x = sheet.transposed(link, x) if link.layer else sheet.add("Mul", x, sheet.named[marks[place]])
    return sheet.done(out=x)
