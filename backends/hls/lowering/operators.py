"""What lowers which operator."""

from __future__ import annotations

from collections.abc import Callable

from ....ir.graph import Node
from ....ir.qonnx import QUANTISERS
from .activations import activation
from .affine import batch_norm
from .build import Build, Value
from .convolution import convolution
from .dense import gemm, matmul
from .merging import arithmetic, concatenation, total
from .movement import cast, gather, pad, reshape, same, slice_, split, transpose
from .pooling import global_pool, pool, reduction
from .quantised import dequantise_linear, quantise, quantise_linear

Lowering = Callable[[Build, Node], Value | tuple[Value, ...]]

MOVEMENT: dict[str, Lowering] = {
    "Cast": cast,
    "Dropout": same,
    "Flatten": reshape,
    "Gather": gather,
    "Identity": same,
    "Pad": pad,
    "Reshape": reshape,
    "Slice": slice_,
    "Split": split,
    "Squeeze": reshape,
    "Transpose": transpose,
    "Unsqueeze": reshape,
}

PICTURES: dict[str, Lowering] = {
    "AveragePool": pool,
    "Conv": convolution,
    "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool,
    "MaxPool": pool,
}

SEVERAL: dict[str, Lowering] = {
    "Add": arithmetic,
    "Concat": concatenation,
    "Div": arithmetic,
    "Mul": arithmetic,
    "Sub": arithmetic,
    "Sum": total,
}

OPERATORS: dict[str, Lowering] = {
    **MOVEMENT,
    **PICTURES,
    **SEVERAL,
    "BatchNormalization": batch_norm,
    "Clip": activation,
    "Elu": activation,
    "Gemm": gemm,
    "HardSigmoid": activation,
    "LeakyRelu": activation,
    "DequantizeLinear": dequantise_linear,
    "MatMul": matmul,
    "QuantizeLinear": quantise_linear,
    **dict.fromkeys(QUANTISERS, quantise),
    "PRelu": activation,
    "ReduceMax": reduction,
    "ReduceMean": reduction,
    "Relu": activation,
    "Selu": activation,
    "Sigmoid": activation,
    "Tanh": activation,
}

_HOST = "cut the network there and run the rest on the host"
HINTS: dict[str, str] = {
    "ArgMax": "drop it and take the largest score on the host",
    "ConvTranspose": "use a network without upsampling",
    "Gelu": "train with Relu",
    "GroupNormalization": "train with BatchNormalization",
    "HardSwish": "train with Relu",
    "InstanceNormalization": "train with BatchNormalization",
    "LayerNormalization": "train with BatchNormalization",
    "Resize": "use a network without upsampling",
    "Upsample": "use a network without upsampling",
}
"""Ways out for operators without counterpart; for others, ``hint``."""


def hint(op: str) -> str:
    """Say what to do about an operator that is not in the table."""
    return HINTS.get(op, _HOST)
