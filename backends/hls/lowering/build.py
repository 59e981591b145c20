"""What the lowering of one graph holds while it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TypeVar

import numpy as np

from ....ir.errors import LoweringError
from ....ir.graph import Array, Graph, Node, Tensor
from ..network import Flatten, Floats, Layer, Shape
from .names import Names
from .stored import is_stored, numbers
from .views import Ints

Kind = TypeVar("Kind", bound=Layer)


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the graph: ``places`` has its shape, and says where in ``layer`` each element lies, -1 for zero."""

    layer: Layer
    places: Ints

    @property
    def is_whole(self) -> bool:
        """Whether each element of the layer is there exactly once."""
        return np.array_equal(np.sort(self.places, axis=None), np.arange(prod(self.layer.shape)))


def refusal(node: Node, why: str, hint: str) -> LoweringError:
    """Return the error for a node that is not lowered."""
    message = "the network cannot be lowered to streaming hardware"
    return LoweringError(message, node_name=node.name, op_type=node.op, why=why, hint=hint)


class Build:
    """Layers in the order that they run, and the value of each tensor met so far."""

    def __init__(self, graph: Graph, shapes: dict[str, Shape]) -> None:
        self.graph = graph
        self.names = Names()
        self.layers: list[Layer] = []
        self.values: dict[str, Value] = {}
        self.made: dict[tuple[str, bytes], Layer] = {}
        self.notes: list[str] = []
        self.known = shapes

    def add(self, layer: Kind) -> Kind:
        """Append a layer under a free name like its own."""
        named = replace(layer, name=self.names.fresh(layer.name))
        self.layers.append(named)
        return named

    def read(self, node: Node, index: int = 0) -> Value:
        """Return the value of an input. Raises LoweringError when it is stored, or was not lowered."""
        tensor = node.inputs[index]
        if is_stored(tensor):
            raise refusal(node, f"its input '{tensor.name}' is stored", "fold constants, and keep weights on the right")
        if tensor.name not in self.values:
            raise refusal(node, f"nothing computes its input '{tensor.name}'", "remove the node")
        return self.values[tensor.name]

    def record(self, node: Node, result: Value | tuple[Value, ...]) -> None:
        """Keep the values of a node's outputs; further outputs, such as a mask, have none."""
        results = result if isinstance(result, tuple) else (result,)
        for output, value in zip(node.outputs, results, strict=False):
            self.values[output.name] = value

    def stored(self, node: Node, index: int) -> Array | None:
        """Return a stored input, None where it is omitted. Raises LoweringError when it is computed."""
        if len(node.inputs) <= index or not node.inputs[index].name:
            return None
        return self.number(node, node.inputs[index])

    def number(self, node: Node, tensor: Tensor) -> Array:
        """Return the value of a stored tensor. Raises LoweringError when it is computed."""
        if not is_stored(tensor):
            hint = "fold constants, or run that part on the host"
            raise refusal(node, f"its input '{tensor.name}' is computed, not stored", hint)
        return numbers(tensor)

    def weight(self, node: Node, index: int) -> Floats:
        """Return a stored input that must be there, as float64."""
        array = self.stored(node, index)
        if array is None:
            raise refusal(node, f"it has no input {index}", "give it one")
        return array.astype(np.float64)

    def shape(self, node: Node, tensor: Tensor) -> Shape:
        """Return the shape of a tensor. Raises LoweringError when it depends on the data."""
        if tensor.name not in self.known:
            raise refusal(node, f"the shape of '{tensor.name}' is not known", "fix every size but the batch")
        return self.known[tensor.name]

    def flat(self, layer: Layer) -> Layer:
        """Return a layer with the values of ``layer`` as a vector; places in it are the same."""
        if len(layer.shape) == 1:
            return layer
        key = (layer.name, b"flat")
        if key not in self.made:
            name = f"{layer.name}_flat"
            self.made[key] = self.add(Flatten(name, (layer.name,), (prod(layer.shape),), layer.source))
        return self.made[key]


def channels_first(shape: Shape) -> Ints:
    """Return the places (1, C, H, W) of a layer of shape (H, W, C)."""
    return np.arange(prod(shape)).reshape(shape).transpose(2, 0, 1)[None]
