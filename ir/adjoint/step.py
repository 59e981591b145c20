"""What a rule sees: one node, the shapes around it, and the slopes at its outputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UnsupportedOpError
from ..graph import Array, Graph, Node
from ..shapes import Shape
from .sheet import Sheet

Backward = Callable[[Graph, Mapping[str, Shape], Sheet, Mapping[str, str], Collection[str]], dict[str, str]]


@dataclass(frozen=True)
class Step:
    """One node to go back through. ``slopes`` name the slope at each output, None where nothing depends on it.

    ``captured`` names what its subgraphs read of ``graph`` that slopes are wanted at; ``again`` is reverse
    accumulation itself, for these subgraphs.
    """

    node: Node
    graph: Graph
    sheet: Sheet
    shapes: Mapping[str, Shape]
    slopes: Sequence[str | None] = ()
    wanted: frozenset[int] = frozenset()
    captured: Sequence[str] = ()
    again: Backward | None = None

    @property
    def opset(self) -> int:
        """Version of the standard operator set."""
        return self.graph.opset

    @property
    def slope(self) -> str:
        """The slope at the first output, where nothing depends on any other. Raises UnsupportedOpError elsewhere."""
        first, *others = self.slopes
        if first is None or any(other is not None for other in others):
            raise self.refuse("a loss depends on another of its outputs than the first")
        return first

    def x(self, index: int = 0) -> str:
        """Name an input."""
        return self.node.inputs[index].name

    def y(self) -> str:
        """Name the first output."""
        return self.node.outputs[0].name

    def has(self, index: int) -> bool:
        """Whether an input is given."""
        return index < len(self.node.inputs) and bool(self.node.inputs[index].name)

    def shape(self, index: int = 0) -> Shape:
        """Return the shape of an input."""
        return self._known(self.x(index))

    def shape_out(self, index: int = 0) -> Shape:
        """Return the shape of an output."""
        return self._known(self.node.outputs[index].name)

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or what the operator takes without."""
        return self.node.attribute(name, self.opset, default)

    def stored(self, index: int) -> Array | None:
        """Return the value of an input that is a constant."""
        return self.node.inputs[index].array if self.has(index) and self.node.inputs[index].is_constant else None

    def fitted(self, slope: str, index: int, shape: Shape | None = None) -> str:
        """Sum a slope of ``shape``, that of the output by default, over the axes along which an input was repeated."""
        return summed(self.sheet, slope, self.shape_out() if shape is None else shape, self.shape(index))

    def refuse(self, why: str) -> UnsupportedOpError:
        """Say why there is no gradient through this node."""
        return UnsupportedOpError(
            "there is no gradient through a node", node_name=self.node.name, op_type=self.node.qualified, why=why
        )

    def _known(self, name: str) -> Shape:
        if name not in self.shapes:
            raise self.refuse(f"the shape of '{name}' is not known")
        return self.shapes[name]


Rule = Callable[[Step], Mapping[int, str] | Mapping[int | str, str]]
"""Returns the slope at every input in ``wanted``, and by name at what is ``captured``; it may return more."""


def summed(sheet: Sheet, slope: str, shape: Shape, wanted: Shape) -> str:
    """Sum a tensor of ``shape`` over what broadcasting has repeated, so that it has the shape ``wanted``."""
    extra = len(shape) - len(wanted)
    axes = [*range(extra), *(extra + place for place, size in enumerate(wanted) if size == 1 != shape[extra + place])]
    found = sheet.sum(slope, axes, keep=True)
    return sheet.reshape(found, wanted) if extra else found


def repeated(sheet: Sheet, x: str, shape: Shape) -> str:
    """Repeat a tensor along the axes of size 1 until it has a shape."""
    return sheet.add("Expand", x, sheet.ints(shape))


def positions(shape: Shape) -> int:
    """Count the entries of a tensor."""
    return int(np.prod(shape, dtype=np.int64))


def is_real(dtype: object) -> bool:
    """Whether an element type is one of floats, or not known; bfloat16 is of numpy's kind V."""
    return dtype is None or np.dtype(dtype).kind in "fV"  # type: ignore[call-overload]


def other_floats(node: Node) -> str | None:
    """Name the element type of floats, other than float32, that a node reads or gives."""
    types = [tensor.dtype for tensor in (*node.inputs, *node.outputs) if tensor.dtype is not None]
    return next((str(dtype) for dtype in types if is_real(dtype) and dtype != np.float32), None)
