"""Run the graphs of a few networks in PyTorch, for its gradients: the operators that those networks hold, no others."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as nn

from optimise_onnx.ir.arguments import clip_bounds, padding, spans
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
        result = OPERATORS[node.op](node, inputs)
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


def _conv(node: Node, inputs: list[Torch]) -> Torch:
    pads, steps, apart = (node.attribute(name, OPSET) for name in ("pads", "strides", "dilations"))
    dims = inputs[1].ndim - 2
    pads = pads or [0] * 2 * dims
    sides = [pads[place] for axis in reversed(range(dims)) for place in (axis, dims + axis)]
    x = nn.pad(inputs[0], sides)
    one = [1] * dims
    bias = inputs[2] if len(inputs) > 2 else None
    function: Callable[..., Torch] = {1: nn.conv1d, 2: nn.conv2d, 3: nn.conv3d}[dims]
    return function(x, inputs[1], bias, steps or one, 0, apart or one, int(node.attribute("group", OPSET, 1)))


def _gemm(node: Node, inputs: list[Torch]) -> Torch:
    a, b = (x.T if node.attribute(name, OPSET, 0) else x for name, x in zip(("transA", "transB"), inputs, strict=False))
    return a @ b + inputs[2]


def _pad(node: Node, inputs: list[Torch]) -> Torch:
    found = padding(node, OPSET, inputs[0].ndim)
    assert found is not None
    return nn.pad(inputs[0], [amount for width in reversed(found.widths) for amount in width])


def _slice(node: Node, inputs: list[Torch]) -> Torch:
    found = spans(node, OPSET, inputs[0].ndim)
    assert found is not None
    return inputs[0][tuple(found.get(axis, slice(None)) for axis in range(inputs[0].ndim))]


def _clip(node: Node, inputs: list[Torch]) -> Torch:
    bounds = clip_bounds(node, OPSET)
    assert bounds is not None
    return inputs[0].clamp(*bounds)


def _reshape(_node: Node, inputs: list[Torch]) -> Torch:
    sizes = inputs[1].tolist()
    return inputs[0].reshape([size or inputs[0].shape[place] for place, size in enumerate(sizes)])


def _dequantised(node: Node, inputs: list[Torch]) -> Torch:
    along = [-1, *[1] * (inputs[0].ndim - 1 - int(node.attribute("axis", OPSET, 1)) % inputs[0].ndim)]
    scale, zero = (x.reshape(along) if x.ndim else x for x in (*inputs[1:], torch.tensor(0))[:2])
    return (inputs[0].double() - zero.double()) * scale


def _pooled(node: Node, inputs: list[Torch]) -> Torch:
    assert not any(node.attribute("pads", OPSET) or [])
    return nn.avg_pool2d(inputs[0], node.attribute("kernel_shape", OPSET), node.attribute("strides", OPSET))


OPERATORS: dict[str, Callable[[Node, list[Torch]], Torch]] = {
    "Add": lambda _, x: x[0] + x[1],
    "AveragePool": _pooled,
    "Clip": _clip,
    "Conv": _conv,
    "DequantizeLinear": _dequantised,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda _, x: x[0].mean((2, 3), keepdim=True),
    "MatMul": lambda _, x: x[0] @ x[1],
    "Pad": _pad,
    "Relu": lambda _, x: x[0].relu(),
    "Reshape": _reshape,
    "Slice": _slice,
    "Softmax": lambda node, x: x[0].softmax(int(node.attribute("axis", OPSET, -1))),
}
