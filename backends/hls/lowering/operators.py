"""What lowers which operator."""

from __future__ import annotations

from collections.abc import Callable

from ....ir.graph import Node
from ....ir.qonnx import QUANTISERS
from .activations import activation, hard_sigmoid, hard_swish, selu
from .affine import batch_norm
from .build import Build, Value
from .convolution import convolution
from .dense import gemm, matmul
from .merging import arithmetic, concatenation, total
from .movement import cast, gather, pad, reshape, same, slice_, split, transpose
from .pooling import global_pool, pool, reduction
from .quantised import dequantise_linear, quantise, quantise_linear
from .upsampling import resize, transposed

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
    "ConvTranspose": transposed,
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
    "HardSigmoid": hard_sigmoid,
    "HardSwish": hard_swish,
    "LeakyRelu": activation,
    "DequantizeLinear": dequantise_linear,
    "MatMul": matmul,
    "QuantizeLinear": quantise_linear,
    **dict.fromkeys(QUANTISERS, quantise),
    "PRelu": activation,
    "ReduceMax": reduction,
    "ReduceMean": reduction,
    "Relu": activation,
    "Resize": resize,
    "Selu": selu,
    "Sigmoid": activation,
    "Softplus": activation,
    "Softsign": activation,
    "Tanh": activation,
    "Upsample": resize,
}

_HOST = "cut the network there and run the rest on the host"
HINTS: dict[str, str] = {
    "ArgMax": "drop it and take the largest score on the host",
    "Gelu": "train with Relu",
    "GroupNormalization": "train with BatchNormalization",
    "InstanceNormalization": "train with BatchNormalization",
    "LayerNormalization": "train with BatchNormalization",
}
"""Ways out for operators that are not taken; for others, ``hint``."""

_THROUGH_OTHERS = ("GRU", "LSTM", "RNN")
_OURS = ("Einsum", "LayerNormalization", "Max", "Mean", "Min", "ThresholdedRelu")


def hint(op: str) -> str:
    """Say what to do about an operator that is not in the table."""
    return HINTS.get(op, _HOST)


def lack(op: str) -> str:
    """Say whether hls4ml or the lowering has no such operator."""
    if op in _THROUGH_OTHERS:
        return "hls4ml reads it from Keras and PyTorch, not from ONNX"
    return "hls4ml has it, but it is not lowered here" if op in _OURS else f"hls4ml has no {op}"
