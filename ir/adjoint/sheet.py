"""Nodes being written in stock operators of opset 18: every method adds some and returns the name of what they give."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from ..graph import Array
from ..names import fresh

OPSET = 18


def floats(name: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    """Declare a tensor of floats."""
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


class Sheet:
    """Nodes and constants beside those of a model, under names that are none of ``taken``."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._taken = set(taken)
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def inner(self) -> Sheet:
        """Return a sheet for a subgraph, whose names are none of this one's, nor later ones of this one its own."""
        sheet = Sheet()
        sheet._taken = self._taken
        return sheet

    def name(self, like: str) -> str:
        """Return an unused name."""
        found = fresh(like, self._taken)
        self._taken.add(found)
        return found

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output."""
        return self.several(op, inputs, 1, **attributes)[0]

    def several(self, op: str, inputs: Sequence[str], count: int, **attributes: Any) -> list[str]:
        """Add a node of ``count`` outputs."""
        outputs = [self.name(f"adjoint_{op}") for _ in range(count)]
        self.nodes.append(onnx.helper.make_node(op, inputs, outputs, self.name(f"{outputs[0]}_node"), **attributes))
        return outputs

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Return a constant, the same for the same value."""
        array: Array = np.asarray(value, dtype, order="C")
        key = str(array.dtype), array.shape, array.tobytes()
        if key not in self._known:
            self._known[key] = self.name("adjoint_constant")
            self.constants.append(onnx.numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def ints(self, values: Iterable[int]) -> str:
        """Return a list of integers as operators take them."""
        return self.constant(list(values), np.int64)

    def reshape(self, x: str, shape: Iterable[int]) -> str:
        """Reshape."""
        return self.add("Reshape", x, self.ints(shape))

    def transpose(self, x: str, perm: Iterable[int]) -> str:
        """Transpose."""
        return self.add("Transpose", x, perm=list(perm))

    def sum(self, x: str, axes: Collection[int], *, keep: bool = False) -> str:
        """Sum over some axes; over none, that is the tensor itself."""
        return self.add("ReduceSum", x, self.ints(axes), keepdims=int(keep)) if axes else x

    def mean(self, x: str, axes: Collection[int]) -> str:
        """Mean over some axes, which stay with size 1; over none, that is the tensor itself."""
        return self.add("ReduceMean", x, self.ints(axes), keepdims=1) if axes else x

    def pad(self, x: str, before: Sequence[int], after: Sequence[int]) -> str:
        """Pad with zeros, or crop where an amount is negative; nothing where all are 0."""
        return self.add("Pad", x, self.ints((*before, *after))) if any((*before, *after)) else x

    def slice(self, x: str, spans: dict[int, tuple[int, int, int]]) -> str:
        """Slice axes, each from a start to before an end in steps."""
        starts, ends, steps = zip(*spans.values(), strict=True)
        return self.add("Slice", x, self.ints(starts), self.ints(ends), self.ints(spans), self.ints(steps))

    def truth(self, condition: str) -> str:
        """Return 1.0 where a condition holds and 0.0 elsewhere: to multiply by it is far quicker than Where."""
        return self.add("Cast", condition, to=onnx.TensorProto.FLOAT)

    def total(self, terms: Sequence[str]) -> str:
        """Add up tensors of one shape."""
        if len(terms) == 1:
            return terms[0]
        return self.add("Add" if len(terms) == 2 else "Sum", *terms)
