"""The literal table of rules: what an operator ties, and how its numbers are rewritten."""

from collections.abc import Callable

from .....ir.graph import Node
from ..labels import Propagation
from ..surgery import Rewrite
from . import contraction, convolution, elementwise, indexing, joining, movement, normalisation, padding, unprunable

Rule = Callable[[Propagation, Node], None]

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

# Statistics of a normalisation and indices of a pooling have no rule.
_ONE_OUTPUT = ("BatchNormalization", "LayerNormalization", "MaxPool")

RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, elementwise.elementwise),
    **dict.fromkeys(UNARY, elementwise.unary),
    **dict.fromkeys(POOLS, normalisation.pooling),
    **dict.fromkeys(REDUCTIONS, normalisation.reduction),
    **dict.fromkeys(OVER_TRAILING, normalisation.over_trailing),
    "BatchNormalization": normalisation.per_channel,
    "Concat": joining.concat,
    "Conv": convolution.convolution,
    "ConvTranspose": convolution.convolution,
    "DepthToSpace": movement.depth_to_space,
    "DequantizeLinear": normalisation.quantise,
    "Einsum": contraction.einsum,
    "Expand": movement.expand,
    "Flatten": movement.reshape,
    "GRU": unprunable.recurrent,
    "Gather": indexing.gather,
    "Gemm": contraction.gemm,
    "GroupNormalization": normalisation.over_groups,
    "InstanceNormalization": normalisation.per_channel,
    "LRN": normalisation.over_groups,
    "LSTM": unprunable.recurrent,
    "MatMul": contraction.matmul,
    "Pad": padding.pad,
    "QuantizeLinear": normalisation.quantise,
    "RNN": unprunable.recurrent,
    "Reshape": movement.reshape,
    "Resize": movement.resize,
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
}

REWRITES: dict[str, Rewrite] = {
    "Conv": convolution.resize_group,
    "ConvTranspose": convolution.resize_group,
    "Expand": movement.resize_shape,
    "Gather": indexing.gather_indices,
    "Pad": padding.pad_amounts,
    "Reshape": movement.resize_shape,
    "Resize": movement.resize_sizes,
    "Slice": indexing.slice_bounds,
    "Split": joining.split_sizes,
}


def propagate(ctx: Propagation, node: Node) -> None:
    """Apply the node's rule; without one, or inside another domain, its operands stay whole."""
    ctx.read.clear()
    ctx.demanded.clear()
    if node.op not in RULES or node.domain or node.has_subgraphs:
        unprunable.whole(ctx, node)
    elif any(t.name not in ctx.shapes for t in (*node.inputs, *node.outputs) if t.name):
        unprunable.whole(ctx, node, "its shapes are unknown")
    elif node.op in _ONE_OUTPUT and sum(bool(t.name) for t in node.outputs) > 1:
        unprunable.whole(ctx, node, "its further outputs change with every channel")
    else:
        RULES[node.op](ctx, node)
    unprunable.rest(ctx, node)
