"""Writes operators of floats between roundings in place of those on integer codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...ir.graph import Graph, Node, Tensor

_ONLY_OURS = ("channels_last", "opset")


class Codes(NamedTuple):
    """Codes with their scale and zero point."""

    codes: Tensor
    scale: Tensor
    zero: Tensor


class CodeWriter:
    """Writes nodes before one that goes; equal dequantisations are one node, so that a value is rounded once."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._known: dict[tuple[str, str, str], Tensor] = {}

    def floats(self, node: Node, given: Codes, axis: int | None = None) -> Tensor:
        """Dequantise, along ``axis`` where there are several scales."""
        codes, scale, zero = given
        key = codes.name, scale.name, zero.name
        if key in self._known:
            return self._known[key]
        many = scale.is_constant and scale.array.size > 1
        if scale.is_constant and not many:
            scale = self._formed(scale, ())
        if zero.name and zero.is_constant:
            zero = self._formed(zero, scale.array.shape if scale.is_constant else ())
        inputs = [codes, scale, zero] if zero.name else [codes, scale]
        out = self.graph.variable(f"{codes.name}_float", scale.dtype or np.float32)
        self.graph.insert("DequantizeLinear", inputs, [out], {"axis": axis} if many else {}, before=node)
        self._known[key] = out
        return out

    def _formed(self, tensor: Tensor, form: tuple[int, ...]) -> Tensor:
        array = np.broadcast_to(tensor.array.reshape(-1) if form else tensor.array.reshape(-1)[:1].reshape(()), form)
        return tensor if tensor.array.shape == form else self.graph.constant(tensor.name, array)

    def replace(
        self, node: Node, op: str, operands: Sequence[Tensor], attributes: Mapping[str, Any], out: Sequence[Tensor]
    ) -> bool:
        """Write ``op`` in place of ``node``; ``out``: scale and zero point that its result is rounded to, or none."""
        result = node.outputs[0]
        made = self.graph.variable(f"{result.name}_float", np.float32) if out else result
        self.graph.insert(op, operands, [made], dict(attributes), before=node)
        if out:
            parameters = [self._formed(tensor, ()) for tensor in out]
            self.graph.insert("QuantizeLinear", [made, *parameters], [result], before=node)
        self.graph.remove(node)
        return True


def standard(node: Node) -> dict[str, Any]:
    """Return a node's attributes that the standard operator has too."""
    return {name: value for name, value in node.attributes.items() if name not in _ONLY_OURS}
