"""A chain of layers as small graphs: its output, how that changes with the first layer, and the adjoint of that map."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ...ir.adjoint.linear import linearised
from ...ir.feeds import Feeds
from ...ir.geometry import Geometry
from ...ir.graph import Array, Graph, Node, Tensor
from ...ir.mapped import let_go
from ...ir.runner import Runner, Session
from ...ir.shapes import Shape
from ..analysis.layers.linear import Linear, stored_weight, takes_bias
from ..analysis.layers.rounding import straight_through
from ..analysis.statistics.cone import cone
from ..analysis.statistics.spill import Shelf
from .chain import Chain


@dataclass(frozen=True)
class Passed:
    """One run of the tail: ``read`` by the last layer, its ``out``, and by name all that slopes depend on."""

    read: Array
    out: Array
    inner: dict[str, Array]


class Derivatives:
    """Runs a chain on batches, cut behind its first layer: the head is linear in that layer's weight and bias, so its
    output need not be computed anew when they move along a line. Weights are arguments, as stored.
    """

    def __init__(self, graph: Graph, chain: Chain, shapes: Mapping[str, Shape], runner: Runner) -> None:
        last, start = chain.last, chain.between[0].inputs[0].name
        head, tail = _opened(graph, chain.first, chain.first.input), _opened(graph, last, start)
        self._turned = _narrows(chain.first)
        if self._turned:
            _turn(head.node(chain.first.node), chain.first)
        sizes = shapes[start], stored_weight(graph, graph.node(last.node), last).shape, (last.fan_out,)
        self._reads = _names(head.inputs), _names(tail.inputs)
        self._gives = last.input, tail.outputs[0].name
        parts = linearised(tail, dict(zip(self._reads[1], sizes, strict=True)), [last.input])
        self._moved, self._slope = (graph.inputs[0].name for graph in (parts.change, parts.adjoint))
        graphs = head, parts.forward, parts.change, parts.adjoint
        self._head, self._tail, self._change, self._adjoint = map(runner.session, graphs)

    def head(self, x: Array, first: tuple[Array, Array]) -> Array:
        """Return what the first layer gives for a batch, or how that changes when ``first`` is a change."""
        weight = _mirrored(first[0]) if self._turned else first[0]
        return _only(self._head.run(dict(zip(self._reads[0], (x, weight, first[1]), strict=True))))

    def tail(self, inner: Array, last: tuple[Array, Array], shelf: Shelf | None = None) -> Passed:
        """Run the rest of the chain on the first layer's output; what it gives waits on a shelf, where one is given."""
        given = dict(zip(self._reads[1], (inner, *last), strict=True))
        found = self._tail.run(given)
        if shelf is not None:
            found = {name: shelf.get(shelf.put(array)) for name, array in found.items()}
        read, out = (found[name] for name in self._gives)
        return Passed(read, out, given | found)

    def change(self, inner: Array, at: Passed) -> Array:
        """Return the first-order change of the chain's output when that of the first layer changes by ``inner``."""
        return self._at(self._change, at, {self._moved: inner})

    def adjoint(self, slope: Array, at: Passed) -> Array:
        """Carry a slope at the chain's output back to the first layer's output."""
        return self._at(self._adjoint, at, {self._slope: slope})

    def _at(self, session: Session, at: Passed, given: Feeds) -> Array:
        found = _only(session.run({**at.inner, **given}))
        let_go(at.inner.values())
        return found


def _opened(graph: Graph, layer: Linear, start: str) -> Graph:
    """Cut out what computes a layer's output from a tensor; it reads that, the layer's weight and its bias."""
    part = graph.part(set(cone(graph, [layer.output], lambda tensor: tensor.name == start).nodes), {}, [layer.output])
    node, source = part.node(layer.node), part.tensors()[start]
    weight, bias, out = (part.variable(name, np.float32) for name in ("weight", "bias", "out"))
    node.set_input(layer.weight_index, weight)
    if takes_bias(node):
        node.set_inputs([*node.inputs[:2], bias])
    else:
        part.insert("Add", [node.outputs[0], bias], [out])
        part.set_outputs([out])
    part.set_inputs([source, weight, bias])
    part.clean()
    straight_through(part)
    return part


def _narrows(layer: Linear) -> bool:
    """Whether a convolution is quicker as the transpose of one that widens, of its weight with inputs and outputs
    exchanged, mirrored: a convolution copies every input once a tap, its transpose every output.
    """
    walk = layer.geometry
    if walk is None or walk.auto_pad or layer.groups > 1 or layer.taps == 1 or {*walk.strides, *walk.dilations} != {1}:
        return False
    return layer.fan_out * layer.taps < layer.fan_in and min(_left(walk)) >= 0


def _turn(node: Node, layer: Linear) -> None:
    """Make a convolution the transpose of another."""
    assert layer.geometry is not None
    node.set_op("ConvTranspose")
    node.set_attribute("auto_pad", None)
    node.set_attribute("pads", _left(layer.geometry))


def _mirrored(weight: Array) -> Array:
    return np.flip(weight, tuple(range(2, weight.ndim))).swapaxes(0, 1)


def _left(walk: Geometry) -> list[int]:
    """Return how far a window reaches at each end beyond the padding there, but for one."""
    return [size - 1 - pad for size, pad in zip(2 * walk.kernel, (*walk.begin, *walk.end), strict=True)]


def _names(tensors: Iterable[Tensor]) -> list[str]:
    return [tensor.name for tensor in tensors]


def _only(found: dict[str, Array]) -> Array:
    (value,) = found.values()
    return value
