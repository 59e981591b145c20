"""Gradients of graphs by PyTorch, in float64."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from optimise_onnx.backends.torch.functions import FUNCTIONS
from optimise_onnx.ir.arguments import clip_bounds
from optimise_onnx.ir.graph import Graph, Node

Array = np.ndarray[Any, np.dtype[Any]]
Torch = torch.Tensor
OPSET = 17


def gradients(
    graph: Graph,
    feeds: Mapping[str, Array],
    target: Array,
    wanted: list[str],
    sides: Mapping[str, Array],
) -> tuple[dict[str, Array], int]:
    """Return the gradients by tensors, in float64, of the squared distance of the first output to a target.

    ``sides`` holds outputs of Relu and Clip: units that rounding has on the other side there count as on that side.
    Their number is returned, too.
    """
    values = {name: torch.tensor(array, dtype=torch.float64) for name, array in feeds.items()}
    for tensor in graph.constants():
        array = torch.tensor(np.array(tensor.array))
        values[tensor.name] = array.double() if array.is_floating_point() else array
    leaves = {name: values[name].requires_grad_() for name in wanted if name in values}
    turned = 0
    for node in graph.nodes:
        inputs, name = [values[tensor.name] for tensor in node.inputs if tensor.name], node.outputs[0].name
        result = OPERATORS[node.op](node, OPSET, inputs)
        if name in sides:
            passing = _passes(node, torch.tensor(sides[name]))
            turned += int((passing != _passes(node, result)).sum())
            result = torch.where(passing, inputs[0], result.detach())
        values[name] = leaves.setdefault(name, result.detach().requires_grad_()) if name in wanted else result
    loss = ((values[graph.outputs[0].name] - torch.tensor(target)) ** 2).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    return {name: np.asarray(leaves[name].grad) for name in wanted}, turned


def _passes(node: Node, y: Torch) -> Torch:
    """Where a Relu or Clip passes its input on."""
    low, high = (0.0, np.inf) if node.op == "Relu" else clip_bounds(node, OPSET) or (-np.inf, np.inf)
    return (y > low) & (y < high)


def _dequantised(node: Node, _opset: int, x: Sequence[Torch]) -> Torch:
    along = [-1, *[1] * (x[0].ndim - 1 - int(node.attribute("axis", OPSET, 1)) % x[0].ndim)]
    scale, zero = (value.reshape(along) if value.ndim else value for value in (*x[1:], torch.tensor(0))[:2])
    return (x[0].double() - zero.double()) * scale


OPERATORS = {**FUNCTIONS, "DequantizeLinear": _dequantised}
