"""One operator on some arrays, as a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]


class Fixed:
    """A float operand that has no gradient: a bound, a scale of a Resize, stored statistics."""

    def __init__(self, value: Any) -> None:
        self.array: Array = np.asarray(value, np.float32)


class Case:
    """An operator and its operands: floats are inputs of the model, what is :class:`Fixed` or no float is stored.

    ``outputs`` counts what the operator gives, ``used`` says on which of that a loss depends.
    """

    def __init__(
        self,
        op: str,
        *operands: Array | Fixed | None,
        opset: int = 18,
        outputs: int = 1,
        used: Sequence[int] = (0,),
        domain: str = "",
        **attributes: Any,
    ) -> None:
        self.op, self.operands, self.opset, self.domain = op, operands, opset, domain
        self.outputs, self.used, self.attributes = outputs, tuple(used), attributes

    def __repr__(self) -> str:
        shapes = [None if x is None else np.shape(_value(x)) for x in self.operands]
        plain = {name: value for name, value in self.attributes.items() if not isinstance(value, onnx.GraphProto)}
        return f"{self.op}-{self.opset}{shapes}{plain}"

    def model(self) -> onnx.ModelProto:
        """Return the model: inputs x0, x1 …, outputs y0, y1 …"""
        names = ["" if x is None else f"x{index}" for index, x in enumerate(self.operands)]
        results = [f"y{index}" for index in range(self.outputs)]
        inputs = [helper.make_tensor_value_info(name, 1, x.shape) for name, x in self.moved().items()]
        stored = [
            numpy_helper.from_array(_value(x), name)
            for name, x in zip(names, self.operands, strict=True)
            if x is not None and name not in self.moved()
        ]
        node = helper.make_node(self.op, names, results, "node", domain=self.domain, **self.attributes)
        kept = [helper.make_tensor_value_info(results[index], 1, None) for index in self.used]
        graph = helper.make_graph([node], "case", inputs, kept, stored)
        opsets = {"": self.opset} | ({self.domain: 1} if self.domain else {})
        imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        return helper.make_model(graph, opset_imports=imports, ir_version=8)

    @property
    def qualified(self) -> str:
        """The operator after its domain."""
        return f"{self.domain}.{self.op}" if self.domain else self.op

    def moved(self) -> dict[str, Array]:
        """Return the inputs."""
        rows = enumerate(self.operands)
        return {f"x{index}": x for index, x in rows if isinstance(x, np.ndarray) and x.dtype.kind == "f"}


def spread(*shape: int, low: float = -2.0, high: float = 2.0, seed: int = 0) -> Array:
    """Return numbers of which no two are alike and none is 0, in random order."""
    count = int(np.prod(shape))
    steps = np.random.default_rng(seed + count).permutation(count) + 0.375
    return (low + (high - low) * steps / max(count, 1)).astype(np.float32).reshape(shape)


def _value(operand: Array | Fixed) -> Array:
    return operand.array if isinstance(operand, Fixed) else operand
