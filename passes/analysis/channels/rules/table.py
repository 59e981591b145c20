"""The literal table of rules: what an operator ties, and how its numbers are rewritten.

An operator of another domain than the standard is called ``domain.Operator``; packages offer rules for such, and for
standard operators that have none here.
"""

from typing import Protocol, runtime_checkable

import numpy as np

from .....ir.graph import Node, Tensor
from .....ir.qonnx import QUANTISERS
from .....ir.registry import Registry
from ..labels import Propagation
from ..numbers import follow
from ..surgery import Rewrite
from . import (
    attention,
    contraction,
    convolution,
    elementwise,
    grouped_query,
    indexing,
    joining,
    movement,
    normalisation,
    over_channels,
    over_groups,
    padding,
    recurrent,
    sampling,
    unprunable,
)
from .elementwise import static


@runtime_checkable
class Rule(Protocol):
    """Says what a node ties, where atoms are born on it and where they end."""

    def __call__(self, ctx: Propagation, node: Node, /) -> None: ...


ELEMENTWISE = (
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod",
    "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
)  # fmt: skip

UNARY = (
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Cast", "Ceil", "Celu", "Clip", "Cos",
    "Cosh", "Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN",
    "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign",
    "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu",
)  # fmt: skip

POOLS = (
    "AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool",
)  # fmt: skip

REDUCTIONS = (
    "ArgMax", "ArgMin", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
)  # fmt: skip

OVER_TRAILING = (
    "Hardmax", "LayerNormalization", "LogSoftmax", "LpNormalization", "RMSNormalization", "Softmax", "CumSum",
)  # fmt: skip

UNKNOWN = "its shapes are unknown"
SHOWN = "only a run shows the shape of its output"

_ONE_OUTPUT = ("BatchNormalization",)  # its statistics have no rule

_FIRST = (grouped_query.GROUP_QUERY,)  # caches among its outputs keep all channels, whatever their shapes

_RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, elementwise.elementwise),
    **dict.fromkeys(UNARY, elementwise.unary),
    **dict.fromkeys(POOLS, normalisation.pooling),
    **dict.fromkeys(REDUCTIONS, normalisation.reduction),
    **dict.fromkeys(OVER_TRAILING, normalisation.over_trailing),
    "Attention": attention.attention,
    "BatchNormalization": normalisation.per_channel,
    "CenterCropPad": sampling.crop,
    "Concat": joining.concat,
    "Conv": convolution.convolution,
    "ConvTranspose": convolution.convolution,
    convolution.DEFORMED: convolution.convolution,
    "DepthToSpace": movement.depth_to_space,
    "DequantizeLinear": normalisation.quantise,
    "DynamicQuantizeLinear": normalisation.quantise_dynamically,
    "Einsum": contraction.einsum,
    "Expand": movement.expand,
    "Flatten": movement.reshape,
    "GRU": recurrent.recurrent,
    "Gather": indexing.gather,
    "Gemm": contraction.gemm,
    "GridSample": sampling.per_plane,
    "GroupNormalization": over_groups.group_norm,
    "InstanceNormalization": normalisation.per_channel,
    "LRN": normalisation.across_channels,
    "LSTM": recurrent.recurrent,
    "MatMul": contraction.matmul,
    "MaxUnpool": sampling.unpool,
    "MeanVarianceNormalization": sampling.mean_variance,
    "Pad": padding.pad,
    "QuantizeLinear": normalisation.quantise,
    "RNN": recurrent.recurrent,
    "Reshape": movement.reshape,
    "Resize": movement.resize,
    "RoiAlign": sampling.per_plane,
    "RotaryEmbedding": attention.rotary,
    "Shape": unprunable.shape,
    "Size": unprunable.shape,
    "Slice": indexing.slice_,
    "SpaceToDepth": movement.space_to_depth,
    "Split": joining.split,
    "Squeeze": movement.squeeze,
    "Tile": movement.expand,
    "Transpose": movement.transpose,
    "Unsqueeze": movement.squeeze,
    "Upsample": movement.resize,
    "com.microsoft.Gelu": elementwise.unary,
    **dict.fromkeys(QUANTISERS, elementwise.elementwise),
    attention.MULTI_HEAD: attention.attention,
    grouped_query.GROUP_QUERY: grouped_query.group_query,
}

_REWRITES: dict[str, Rewrite] = {
    "Conv": convolution.resize_group,
    "ConvTranspose": convolution.resize_group,
    convolution.DEFORMED: convolution.resize_group,
    "Expand": movement.resize_shape,
    **dict.fromkeys(recurrent.GATES, recurrent.resize_hidden),
    **dict.fromkeys(("Attention", attention.MULTI_HEAD), attention.keep_scale),
    "Gather": indexing.gather_indices,
    "GroupNormalization": over_groups.resize_group_norm,
    grouped_query.GROUP_QUERY: grouped_query.resize_heads,
    "InstanceNormalization": over_groups.resize_instance_norm,
    "LayerNormalization": over_channels.resize_layer_norm,
    "Pad": padding.pad_amounts,
    "RMSNormalization": over_channels.resize_rms_norm,
    "ReduceMean": over_channels.resize_mean,
    "RotaryEmbedding": attention.resize_rotary,
    "Reshape": movement.resize_shape,
    "Resize": movement.resize_sizes,
    "Slice": indexing.slice_bounds,
    "Split": joining.split_sizes,
}


RULES: Registry[Rule] = Registry("operator rule", "optimise_onnx.rules", _RULES, kind=Rule)
REWRITES: Registry[Rewrite] = Registry("rewriting rule", "optimise_onnx.rewrites", _REWRITES)


def has_rule(node: Node) -> bool:
    """Whether the table has a rule for a node."""
    return node.qualified in RULES and not node.has_subgraphs


def propagate(ctx: Propagation, node: Node) -> None:
    """Apply the node's rule; without one its operands stay whole."""
    ctx.read.clear()
    ctx.demanded.clear()
    ctx.minded.clear()
    outputs = node.outputs[:1] if node.qualified in _FIRST else node.outputs
    if not has_rule(node):
        unprunable.whole(ctx, node)
    elif any(t.name not in ctx.shapes for t in (*node.inputs, *outputs) if t.name):
        unprunable.whole(ctx, node, UNKNOWN)
    elif is_empty(ctx, node):
        unprunable.whole(ctx, node, "it reads or writes a tensor without entries")
    elif any(t.name in ctx.seen for t in outputs):
        unprunable.whole(ctx, node, SHOWN)
    elif node.qualified in _ONE_OUTPUT and sum(bool(t.name) for t in node.outputs) > 1:
        unprunable.whole(ctx, node, "its further outputs change with every channel")
    else:
        RULES[node.qualified](ctx, node)
    unprunable.rest(ctx, node)
    follow(ctx, node)


def is_empty(ctx: Propagation, node: Node) -> bool:
    """Whether a node reads or writes a tensor without entries that is no list of numbers, which may be empty."""
    return any(_has_no_entries(ctx, tensor) for tensor in (*node.inputs, *node.outputs))


def _has_no_entries(ctx: Propagation, tensor: Tensor) -> bool:
    shape = ctx.shapes.get(tensor.name, ())
    return 0 in shape and (len(shape) > 1 or (not static(tensor) and tensor.dtype == np.float32))
