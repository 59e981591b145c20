"""A chain of layers as small graphs: its output, how that changes with the first layer, and the adjoint of that map."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.graph import Array, Graph, Node, Tensor
from ...ir.runner import Runner
from ...ir.shapes import Shape
from ..analysis.linear import Linear, stored_weight
from ..analysis.writing import stored_bias
from .chain import Chain, limits

OPSET = 17
_FLOAT = 1


@dataclass(frozen=True)
class Passed:
    """One forward run: ``read`` by the last layer, its ``out``, and ``inner``: where activations pass, 0 or 1."""

    read: Array
    out: Array
    inner: dict[str, Array]


class Derivatives:
    """Runs a chain on batches; the weights (as stored) and biases of its first and last layer are arguments."""

    def __init__(
        self, graph: Graph, chain: Chain, layers: Mapping[str, Linear], shapes: Mapping[str, Shape], runner: Runner
    ) -> None:
        links = [_Link.of(graph, graph.node(chain.first.node), layers, shapes, "w0")]
        links += [_Link.of(graph, node, layers, shapes, None) for node in chain.between]
        links.append(_Link.of(graph, graph.node(chain.last.node), layers, shapes, "w1"))
        self._forward, self._change, self._adjoint = (
            runner.session(make(links)) for make in (_forward, _change, _adjoint)
        )

    def forward(self, x: Array, first: tuple[Array, Array], last: tuple[Array, Array]) -> Passed:
        """Run the chain on a batch."""
        found = self._forward.run({"x": x, "w0": first[0], "b0": first[1], "w1": last[0], "b1": last[1]})
        return Passed(found.pop("read"), found.pop("out"), found)

    def change(self, x: Array, at: Passed, step: tuple[Array, Array], last: Array) -> Array:
        """Return the first-order change of the output when the first layer's weight and bias change by ``step``."""
        return self._change.run({"x": x, "w0": step[0], "b0": step[1], "w1": last, **at.inner})["out"]

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

    @staticmethod
    def of(
        graph: Graph, node: Node, layers: Mapping[str, Linear], shapes: Mapping[str, Shape], weight: str | None
    ) -> "_Link":
        layer = layers.get(node.name)
        if layer is None:
            bounds = limits(node, graph.opset)
            assert bounds is not None
            return _Link(node, None, limits=bounds)
        sizes = tuple(int(size) for size in shapes[layer.input][2:]) if layer.geometry is not None else ()
        if weight is not None:
            return _Link(node, layer, sizes, weight)
        value = stored_weight(graph, node, layer).astype(np.float32)
        return _Link(node, layer, sizes, None, (value, stored_bias(graph, node, layer).astype(np.float32)))


class _Sheet:
    """An empty graph being filled: every method adds a node and returns its output."""

    def __init__(self, inputs: Mapping[str, object]) -> None:
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
            form = {"strides": walk.strides, "dilations": walk.dilations, "pads": (*begin, *end)}
            return self.add("Conv", x, weight, *([bias] if bias else []), group=link.layer.groups, **form)
        product = self.add("MatMul", x, self.add("Transpose", weight) if link.layer.transposed else weight)
        return self.add("Add", product, bias) if bias is not None else product

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

    def passes(self, link: _Link, x: Tensor) -> Tensor:
        """Mark where an activation passes its input on, 0 or 1."""
        low, high = (self.constant(value) for value in link.limits)
        above, below = self.add("Greater", x, low, dtype=bool), self.add("Less", x, high, dtype=bool)
        return self.add("Cast", self.add("And", above, below, dtype=bool), to=_FLOAT)

    def done(self, **outputs: Tensor) -> Graph:
        self.graph.set_outputs([self._called(name, tensor) for name, tensor in outputs.items()])
        return self.graph

    def _called(self, name: str, tensor: Tensor) -> Tensor:
        out = self.graph.variable(name, np.float32)
        self.graph.insert("Identity", [tensor], [out])
        return out


def _marks(links: list[_Link]) -> dict[int, str]:
    return {place: f"at_{place}" for place, link in enumerate(links) if link.layer is None}


def _forward(links: list[_Link]) -> Graph:
    sheet = _Sheet(dict.fromkeys(("x", "w0", "b0", "w1", "b1")))
    x, inner, marks = sheet.named["x"], dict[str, Tensor](), _marks(links)
    for place, link in enumerate(links):
        read = x
        if link.layer is None:
            inner[marks[place]] = sheet.passes(link, x)
            low, high = (sheet.constant(value) for value in link.limits)
            x = sheet.add("Clip", x, low, high)
        else:
            bias = sheet.constant(link.stored[1]) if link.stored else sheet.named[f"b{link.weight[1:]}"]  # type: ignore[index]
            x = sheet.linear(link, x, bias)
    return sheet.done(read=read, out=x, **inner)


def _change(links: list[_Link]) -> Graph:
    marks = _marks(links)
    sheet = _Sheet(dict.fromkeys(("x", "w0", "b0", "w1", *marks.values())))
    x = sheet.linear(links[0], sheet.named["x"], sheet.named["b0"])
    for place, link in enumerate(links[1:], 1):
        x = sheet.linear(link, x, None) if link.layer else sheet.add("Mul", x, sheet.named[marks[place]])
    return sheet.done(out=x)


def _adjoint(links: list[_Link]) -> Graph:
    marks = _marks(links)
    sheet = _Sheet(dict.fromkeys(("x", "w1", *marks.values())))
    x = sheet.named["x"]
    for place, link in reversed(list(enumerate(links))[1:]):
        x = sheet.transposed(link, x) if link.layer else sheet.add("Mul", x, sheet.named[marks[place]])
    return sheet.done(out=x)
