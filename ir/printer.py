"""A short text of a graph: one line a node, constants by type and shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from .graph import Graph, Node, Tensor

_SHOWN = 4


def text(graph: Graph) -> str:
    """Print the graph: its inputs, then ``outputs = Op(inputs) {attributes}`` for each node, then its outputs.

    Constants print as type and shape, and with their values when there are at most four. The text names every tensor
    and node attribute, so two graphs of one text have the same structure.
    """
    inputs = ", ".join(_declared(tensor) for tensor in graph.inputs)
    outputs = ", ".join(_declared(tensor) for tensor in graph.outputs)
    lines = [
        f"graph({inputs})  # opset {graph.opset}",
        *(f"  {_node(node)}" for node in graph.nodes),
        f"  return {outputs}",
    ]
    return "\n".join(lines) + "\n"


def _node(node: Node) -> str:
    outputs = ", ".join(tensor.name or "_" for tensor in node.outputs)
    inputs = ", ".join(_operand(tensor) for tensor in node.inputs)
    attributes = ", ".join(f"{name}={_value(value)}" for name, value in sorted(node.attributes.items()))
    op = f"{node.domain}.{node.op}" if node.domain else node.op
    body = " {…}" if node.has_subgraphs else ""
    return f"{outputs} = {op}({inputs})" + (f" {{{attributes}}}" if attributes else "") + body


def _operand(tensor: Tensor) -> str:
    if not tensor.name:
        return "_"
    return f"{tensor.name}: {_value(tensor.array)}" if tensor.is_constant else tensor.name


def _declared(tensor: Tensor) -> str:
    shape = "…" if tensor.shape is None else ", ".join(str(dim if dim is not None else "?") for dim in tensor.shape)
    kind = "?" if tensor.dtype is None else np.dtype(tensor.dtype).name
    return f"{tensor.name}: {kind}[{shape}]"


def _value(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return str(value)
    if value.size <= _SHOWN:
        return f"{value.dtype.name}{value.tolist()}"
    return f"{value.dtype.name}{list(value.shape)}"
