"""Whole blocks: what becomes constant when every channel of some groups goes, as a residual branch does.

A layer that reads nothing but such channels gives the same numbers everywhere: its bias. That constant has one entry
along every axis but the features', so it is followed through operators that treat every entry alone, up to where it
meets a tensor that still has the batch and the pixels. Where it would have to stand for those itself, the block stays.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from ....ir.arguments import permutation, spans
from ....ir.graph import Graph, Node, Tensor
from ....ir.shapes import Shape
from ..layers.linear import Linear, takes_bias
from ..layers.writing import bias_place
from .groups import Channels
from .labels import Propagation
from .rules.elementwise import static
from .rules.table import ELEMENTWISE, UNARY

_EVERYWHERE = frozenset({*ELEMENTWISE, *UNARY}) - {"PRelu"}  # a slope may not be larger than what it is applied to
_NORMS = ("LayerNormalization", "RMSNormalization")
_QUANTISERS = frozenset({"DequantizeLinear", "QuantizeLinear"})


@dataclass(frozen=True)
class Cut:
    """``readers``: names of layers whose whole input goes; ``constants``: tensors that become constant beside others
    that still vary, and are all that has to be stored; ``reshaped``: Reshape and Slice nodes between the two that
    leave the features on the last axis, with the rank of what they make.
    """

    readers: tuple[str, ...]
    constants: tuple[str, ...]
    reshaped: Mapping[str, int] = field(default_factory=dict)


def cut(graph: Graph, channels: Channels, names: Collection[str]) -> Cut | None:
    """Say what is left where all channels of the named groups go together; None when the graph needs some of them.

    ``graph`` must be the one that was analysed, or a copy. Time: linear in the nodes and the channels.
    """
    context = channels.context
    gone = np.zeros(context.registry_size(), bool)
    for group in channels.groups:
        gone[group.cells] |= group.name in names
    emptied = set()
    for name, labels in context.labels.items():
        part = gone[labels.atoms]
        if part.any() and not part.all():
            return None
        if part.any():
            emptied.add(name)
    walk = _Walk(graph, context, channels.layers, emptied)
    if not all(walk.passes(node) for node in _needed(graph, emptied)):
        return None
    return Cut(tuple(walk.readers), tuple(walk.constants), walk.reshaped)


def _needed(graph: Graph, emptied: Collection[str]) -> list[Node]:
    """List the nodes that outputs depend on otherwise than through an emptied tensor: not scores of lost values."""
    wanted, found = {tensor.name for tensor in graph.outputs}, []
    for node in reversed(graph.nodes):
        outputs = {tensor.name for tensor in node.outputs if tensor.name}
        if outputs.isdisjoint(wanted):
            continue
        found.append(node)
        if not outputs <= set(emptied):
            wanted.update(tensor.name for tensor in (*node.inputs, *node.captures()))
    return found[::-1]


def droppable(graph: Graph, channels: Channels, names: Collection[str]) -> frozenset[str]:
    """Name the groups among ``names`` that can go entirely, each on its own: not any two of them need be able to."""
    return frozenset(name for name in names if cut(graph, channels, (name,)) is not None)


def constant_shape(layer: Linear, rank: int) -> Shape:
    """Return the shape that broadcasts one number a feature to the layer's output."""
    axis = _features(layer, rank)
    return tuple(layer.groups * layer.fan_out if place == axis else 1 for place in range(rank))


def _features(layer: Linear, rank: int) -> int:
    return 1 if layer.geometry is not None else rank - 1 - layer.columns


@dataclass
class _Walk:
    """One walk through a graph in order; ``thin`` holds the shapes of tensors that have become constants."""

    graph: Graph
    context: Propagation
    layers: Mapping[str, Linear]
    emptied: set[str]
    thin: dict[str, Shape] = field(default_factory=dict)
    readers: list[str] = field(default_factory=list)
    constants: dict[str, None] = field(default_factory=dict)
    reshaped: dict[str, int] = field(default_factory=dict)

    def passes(self, node: Node) -> bool:
        """Go past one node; False when it needs channels that go, or the real shape of what has become constant."""
        reads = {tensor.name for tensor in (*node.inputs, *node.captures())}
        empty = not reads.isdisjoint(self.emptied)
        if not empty and reads.isdisjoint(self.thin):
            return True
        if all(tensor.name in self.emptied for tensor in node.outputs):
            return True  # it goes with the block
        if node.domain or node.has_subgraphs:
            return False
        made = self._lost(node) if empty else self._carried(node)
        if made is None:
            return not empty and self._meets(node)
        self.thin[node.outputs[0].name] = made
        return len(node.outputs) == 1 and not self.graph.is_output(node.outputs[0])

    def _lost(self, node: Node) -> Shape | None:
        """Shape of what is left of a layer that loses its whole input."""
        layer = self.layers.get(node.name)
        if layer is None or layer.input not in self.emptied:
            return None
        biased = takes_bias(node) and len(node.inputs) > 2 and bool(node.inputs[2].name)
        if biased and bias_place(self.graph, node, layer) is None:
            return None
        self.readers.append(node.name)
        return constant_shape(layer, len(self.context.shapes[layer.output]))

    def _carried(self, node: Node) -> Shape | None:
        """Shape of a function of constants alone, if it is one that needs no more of them than what is stored."""
        if node.op in ("Reshape", "Slice"):
            return self._reshaped(node)
        inputs = [tensor for tensor in node.inputs if tensor.name]
        shapes = [self._shape(tensor) for tensor in inputs if tensor.name in self.thin or static(tensor)]
        known = [shape for shape in shapes if shape is not None]
        if len(known) < len(inputs):
            return None
        if node.op in _EVERYWHERE:
            return np.broadcast_shapes(*known)
        if node.name in self.layers:
            return self._pointwise(self.layers[node.name])
        return self._of_first(node, known) if inputs[0].name in self.thin else None

    def _reshaped(self, node: Node) -> Shape | None:
        """One entry a feature, on the last axis before and after."""
        (x, *_), (y, *_), shapes = node.inputs, node.outputs, self.context.shapes
        thin, old, new = self.thin.get(x.name), shapes.get(x.name), shapes.get(y.name)
        if not thin or not old or not new or max(thin[:-1], default=1) > 1 or old[-1] != new[-1]:
            return None
        if node.op == "Slice" and (
            node.attributes or len(old) - 1 in (spans(node, self.graph.opset, len(old)) or range(len(old)))
        ):
            return None
        self.reshaped[node.name] = len(new)
        return (1,) * (len(new) - 1) + thin[-1:]

    def _shape(self, tensor: Tensor) -> Shape | None:
        return self.thin.get(tensor.name) or self.context.shapes.get(tensor.name)

    def _of_first(self, node: Node, shapes: list[Shape]) -> Shape | None:
        """Operators whose further inputs are stored parameters."""
        shape, whole = shapes[0], self.context.shapes.get(node.inputs[0].name)
        if node.op == "Transpose":
            return tuple(shape[axis] for axis in permutation(node, self.graph.opset, len(shape)))
        if node.op in _QUANTISERS:
            return shape if int(np.prod(shapes[1])) == 1 else None
        if node.op in _NORMS and whole is not None and shape[-1] == whole[-1]:
            last = int(node.attribute("axis", self.graph.opset, -1)) in (-1, len(shape) - 1)
            return shape if last else None
        if whole is None or shape[1:2] != whole[1:2]:
            return None
        if node.op in ("GlobalAveragePool", "GlobalMaxPool"):
            return shape[:2] + (1,) * (len(shape) - 2)
        return shape if node.op == "BatchNormalization" else None

    def _pointwise(self, layer: Linear) -> Shape | None:
        """A layer without neighbours and padding, on a constant with all its features and nothing else."""
        walk, shape = layer.geometry, self.thin.get(layer.input)
        if shape is None or (walk is not None and (layer.taps > 1 or any((*walk.begin, *walk.end)))):
            return None
        wide = layer.groups * layer.fan_in
        axis = _features(layer, len(shape))
        alone = all(size == (wide if place == axis else 1) for place, size in enumerate(shape))
        return constant_shape(layer, len(shape)) if alone else None

    def _meets(self, node: Node) -> bool:
        """An elementwise operator whose other operands together have the whole shape of its output."""
        inputs = [tensor for tensor in node.inputs if tensor.name]
        others = [self.context.shapes.get(tensor.name) for tensor in inputs if tensor.name not in self.thin]
        known = [shape for shape in others if shape is not None]
        if node.op not in ELEMENTWISE or len(known) < len(others) or not known:
            return False
        if node.op == "PRelu" and inputs[0].name in self.thin:
            return False
        if np.broadcast_shapes(*known) != self.context.shapes.get(node.outputs[0].name):
            return False
        self.constants.update(dict.fromkeys(tensor.name for tensor in inputs if tensor.name in self.thin))
        return True
