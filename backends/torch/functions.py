"""What every operator computes, as a function of tensors of PyTorch; attributes are read from the node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ...ir import arguments
from ...ir.errors import UnsupportedOpError
from ...ir.geometry import geometry
from ...ir.handles import Node

Values = Sequence[Any]
Function = Callable[[Node, int, Values], Any]


def _conv(node: Node, opset: int, x: Values) -> Any:
    form = geometry(node, opset, x[1].shape[2:])
    begin, end = form.pads(x[0].shape[2:])
    groups = int(node.attribute("group", opset, 1))
    conv = (functional.conv1d, functional.conv2d, functional.conv3d)[len(begin) - 1]
    padded, pads = (x[0], begin) if begin == end else (functional.pad(x[0], _flat(begin, end)), 0)
    return conv(padded, x[1], x[2] if len(x) > 2 else None, form.strides, pads, form.dilations, groups)


def _conv_transpose(node: Node, opset: int, x: Values) -> Any:
    form = geometry(node, opset, x[1].shape[2:])
    if form.auto_pad or node.attribute("output_shape", opset):
        raise _unsupported(node, "auto_pad or output_shape")
    more = node.attribute("output_padding", opset) or [0] * len(form.kernel)
    groups = int(node.attribute("group", opset, 1))
    conv = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[len(form.kernel) - 1]
    whole = conv(x[0], x[1], x[2] if len(x) > 2 else None, form.strides, 0, more, groups, form.dilations)
    for axis, (begin, end) in enumerate(zip(form.begin, form.end, strict=True), 2):
        whole = whole.narrow(axis, begin, whole.shape[axis] - begin - end)
    return whole


def _flat(begin: Sequence[int], end: Sequence[int]) -> list[int]:
    """Return pads as PyTorch lists them: the last axis first."""
    return [amount for pair in reversed(list(zip(begin, end, strict=True))) for amount in pair]


def _gemm(node: Node, opset: int, x: Values) -> Any:
    turned = [node.attribute(name, opset, 0) for name in ("transA", "transB")]
    a, b = (value.T if turn else value for value, turn in zip(x[:2], turned, strict=True))
    found = float(node.attribute("alpha", opset, 1.0)) * (a @ b)
    return found + float(node.attribute("beta", opset, 1.0)) * x[2] if len(x) > 2 else found


def _clip(node: Node, opset: int, x: Values) -> Any:
    bounds = arguments.clip_bounds(node, opset)
    if bounds is None:
        raise _unsupported(node, "computed bounds")
    return torch.clamp(x[0], *bounds)


def _reduced(reduce: Callable[..., Any]) -> Function:
    def run(node: Node, opset: int, x: Values) -> Any:
        axes = arguments.reduced_axes(node, opset, x[0].ndim)
        if axes is None:
            raise _unsupported(node, "computed axes")
        return reduce(x[0], dim=axes, keepdim=bool(node.attribute("keepdims", opset, 1))) if axes else x[0]

    return run


def _batch_norm(node: Node, opset: int, x: Values) -> Any:
    return functional.batch_norm(x[0], x[3], x[4], x[1], x[2], eps=float(node.attribute("epsilon", opset, 1e-5)))


def _layer_norm(node: Node, opset: int, x: Values) -> Any:
    first = arguments.axis(node, opset, x[0].ndim)
    bias = x[2] if len(x) > 2 else None
    return functional.layer_norm(x[0], x[0].shape[first:], x[1], bias, float(node.attribute("epsilon", opset, 1e-5)))


def _max_pool(node: Node, opset: int, x: Values) -> Any:
    return _pooled(node, opset, x[0], functional.max_pool2d, -torch.inf)


def _average_pool(node: Node, opset: int, x: Values) -> Any:
    include = bool(node.attribute("count_include_pad", opset, 0))
    form = geometry(node, opset, node.attribute("kernel_shape", opset))
    if form.may_pad and not include:
        ones = _pooled(node, opset, torch.ones_like(x[0][:1, :1]), functional.avg_pool2d, 0.0)
        return _pooled(node, opset, x[0], functional.avg_pool2d, 0.0) / ones
    return _pooled(node, opset, x[0], functional.avg_pool2d, 0.0)


def _pooled(node: Node, opset: int, x: Any, pool: Callable[..., Any], value: float) -> Any:
    form = geometry(node, opset, node.attribute("kernel_shape", opset))
    if len(form.kernel) != 2 or node.attribute("ceil_mode", opset, 0) or set(form.dilations) != {1}:
        raise _unsupported(node, "other pools than of two axes, with ceil_mode or dilations")
    padded = functional.pad(x, _flat(*form.pads(x.shape[2:])), value=value)
    return pool(padded, form.kernel, form.strides)


def _pad(node: Node, opset: int, x: Values) -> Any:
    found = arguments.padding(node, opset, x[0].ndim)
    if found is None or found.mode != "constant" or found.value is None:
        raise _unsupported(node, "other modes than constant")
    before, after = zip(*found.widths, strict=True)
    return functional.pad(x[0], _flat(before, after), value=found.value)


def _slice(node: Node, opset: int, x: Values) -> Any:
    spans = arguments.spans(node, opset, x[0].ndim)
    if spans is None:
        raise _unsupported(node, "computed places")
    found = x[0]
    for axis, span in spans.items():
        forward = span.step is None or span.step > 0
        chosen = range(found.shape[axis])[span]
        part = slice(chosen.start, chosen.stop, chosen.step) if forward else list(chosen)
        found = found[(*[slice(None)] * axis, part)]
    return found


def _split(node: Node, opset: int, x: Values) -> Any:
    axis = arguments.axis(node, opset, x[0].ndim)
    if len(node.inputs) > 1 and node.inputs[1].name:
        return torch.split(x[0], node.inputs[1].array.tolist(), axis)
    return torch.chunk(x[0], len(node.outputs), axis)


def _gather(node: Node, opset: int, x: Values) -> Any:
    axis = arguments.axis(node, opset, x[0].ndim)
    index = x[1].long() % x[0].shape[axis]
    found = x[0].index_select(axis, index.reshape(-1))
    return found.reshape(*x[0].shape[:axis], *index.shape, *x[0].shape[axis + 1 :])


def _reshape(node: Node, opset: int, x: Values) -> Any:
    target = arguments.reshape_target(node, opset, tuple(x[0].shape))
    return x[0].reshape(x[1].tolist() if target is None else target)


def _unsqueeze(node: Node, opset: int, x: Values) -> Any:
    axes = arguments.axes(node, opset)
    assert axes is not None
    found, rank = x[0], x[0].ndim + len(axes)
    for axis in sorted(place % rank for place in axes):
        found = found.unsqueeze(axis)
    return found


def _squeeze(node: Node, opset: int, x: Values) -> Any:
    axes = arguments.axes(node, opset)
    assert axes is not None
    return x[0].squeeze(tuple(axes)) if axes else x[0].squeeze()


def _flatten(node: Node, opset: int, x: Values) -> Any:
    first = int(node.attribute("axis", opset, 1)) % (x[0].ndim + 1)
    return x[0].reshape(int(np.prod(x[0].shape[:first])), -1)


def _along(function: Callable[..., Any]) -> Function:
    def run(node: Node, opset: int, x: Values) -> Any:
        first, *rest = arguments.softmax_axes(node, opset, x[0].ndim)
        whole = x[0].flatten(first) if rest else x[0]
        return function(whole, dim=first).reshape(x[0].shape)

    return run


def _of_one(function: Callable[[Any], Any]) -> Function:
    return lambda _node, _opset, x: function(x[0])


def _of_two(function: Callable[[Any, Any], Any]) -> Function:
    return lambda _node, _opset, x: function(x[0], x[1])


def _with(function: Callable[..., Any], **names: tuple[str, float]) -> Function:
    """Make a function of one tensor and attributes: by argument, the attribute's name and default."""

    def run(node: Node, opset: int, x: Values) -> Any:
        given = {key: float(node.attribute(name, opset, default)) for key, (name, default) in names.items()}
        return function(x[0], **given)

    return run


def _unsupported(node: Node, what: str) -> UnsupportedOpError:
    why = f"{what} is not carried out"
    return UnsupportedOpError("PyTorch does not run a node", node_name=node.name, op_type=node.qualified, why=why)


def _spatial_mean(x: Any) -> Any:
    return x.mean(dim=list(range(2, x.ndim)), keepdim=True)


def _hard_sigmoid(x: Any, alpha: float, beta: float) -> Any:
    return torch.clamp(alpha * x + beta, 0.0, 1.0)


FUNCTIONS: dict[str, Function] = {
    "Abs": _of_one(torch.abs),
    "Add": _of_two(torch.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": lambda node, opset, x: torch.cat(list(x), dim=arguments.axis(node, opset, x[0].ndim)),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": _of_two(torch.div),
    "Dropout": _of_one(lambda x: x),
    "Einsum": lambda node, opset, x: torch.einsum(str(node.attribute("equation", opset)), *x),
    "Elu": _with(functional.elu, alpha=("alpha", 1.0)),
    "Erf": _of_one(torch.erf),
    "Exp": _of_one(torch.exp),
    "Expand": lambda _node, _opset, x: x[0] * torch.ones(x[1].tolist(), device=x[0].device),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gelu": lambda node, opset, x: functional.gelu(x[0], approximate=node.attribute("approximate", opset, "none")),
    "Gemm": _gemm,
    "GlobalAveragePool": _of_one(_spatial_mean),
    "HardSigmoid": _with(_hard_sigmoid, alpha=("alpha", 0.2), beta=("beta", 0.5)),
    "HardSwish": _of_one(functional.hardswish),
    "Identity": _of_one(lambda x: x),
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _with(functional.leaky_relu, negative_slope=("alpha", 0.01)),
    "Log": _of_one(torch.log),
    "LogSoftmax": _along(functional.log_softmax),
    "MatMul": _of_two(torch.matmul),
    "Max": lambda _node, _opset, x: reduce(torch.maximum, x),
    "MaxPool": _max_pool,
    "Min": lambda _node, _opset, x: reduce(torch.minimum, x),
    "Mul": _of_two(torch.mul),
    "Neg": _of_one(torch.neg),
    "PRelu": lambda _node, _opset, x: torch.where(x[0] > 0, x[0], x[0] * x[1]),
    "Pad": _pad,
    "Pow": _of_two(torch.pow),
    "Reciprocal": _of_one(torch.reciprocal),
    "ReduceMean": _reduced(torch.mean),
    "ReduceSum": _reduced(torch.sum),
    "Relu": _of_one(torch.relu),
    "Reshape": _reshape,
    "Sigmoid": _of_one(torch.sigmoid),
    "Slice": _slice,
    "Softmax": _along(functional.softmax),
    "Softplus": _of_one(functional.softplus),
    "Split": _split,
    "Sqrt": _of_one(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _of_two(torch.sub),
    "Sum": lambda _node, _opset, x: sum(x[1:], start=x[0]),
    "Tanh": _of_one(torch.tanh),
    "Transpose": lambda node, opset, x: x[0].permute(arguments.permutation(node, opset, x[0].ndim)),
    "Unsqueeze": _unsqueeze,
    "Where": lambda _node, _opset, x: torch.where(x[0], x[1], x[2]),
}
