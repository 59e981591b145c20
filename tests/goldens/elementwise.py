"""Elementwise operators, quantisation, and what works channel by channel."""

import numpy as np

from optimise_onnx.ir.qonnx import QUANTISERS
from optimise_onnx.passes.analysis.channels.rules.table import ELEMENTWISE, POOLS, UNARY

from .case import Case, by_head, channels, features, heads, ints, plain, tokens, weight

_NEWER = {"BitwiseAnd": 18, "BitwiseNot": 18, "BitwiseOr": 18, "BitwiseXor": 18, "Gelu": 20, "Mish": 18, "Swish": 24}
_POOL = {"kernel_shape": [2, 2]}

EVERY_BINARY = [
    Case(op, [channels(1, 2), channels(3, 4)], """
y@1: 1 2
tie 1=3 2=4
""", {"direction": "LEFT"} if op == "BitShift" else {}, _NEWER.get(op, 17))
    for op in ELEMENTWISE if op != "Where"
]  # fmt: skip

EVERY_UNARY = [
    Case(op, [channels(1, 2)], """
y@1: 1 2
""", {"to": 1} if op == "Cast" else {}, _NEWER.get(op, 17))
    for op in UNARY
]  # fmt: skip

EVERY_POOL = [
    Case(op, [channels(1, 2)], """
y@1: 1 2
""", {} if op.startswith("Global") else _POOL)
    for op in POOLS
]  # fmt: skip

BINARY = [
    Case("Where", [plain(2, 1, 4, 4), channels(1, 2), channels(3, 4)], """
y@1: 1 2
tie 1=3 2=4
"""),
    Case("Add", [channels(1, 2), plain(2, 2, 4, 4)], """
y@1: 1 2
pin 1 2: it is combined with 'w', whose channels cannot be removed
"""),
    Case("Mul", [channels(1, 2), plain(2, 1, 4, 4)], """
y@1: 1 2
"""),
    Case("Mul", [channels(1, 2), channels(3, 4, side=1)], """
y@1: 1 2
tie 1=3 2=4
"""),
    Case("Mul", [channels(1, 2), weight(2, 1, 1)], """
y@1: 1 2
w@0: 1 2
"""),
    Case("Mul", [channels(1, 2), weight(1, 2, 4, 4)], """
y@1: 1 2
w@1: 1 2
"""),
    Case("Mul", [channels(1, 2), weight(4)], """
y@1: 1 2
"""),
    Case("Add", [tokens(1, 2), weight(2)], """
y@2: 1 2
w@0: 1 2
"""),
    Case("Add", [heads([1, 2], [3, 4]), weight(2, 2)], """
y@3: 1 2 | 3 4
w@1: 1 2 | 3 4
equal 1 2 | 3 4
"""),
    Case("Add", [heads([1, 2], [3, 4]), weight(2)], """
y@3: 1 2
w@0: 1 2
tie 3=1 4=2
"""),
    Case("Sum", [features(1, 2), plain(2, 1), weight(1)], """
y@1: 1 2
"""),
    Case("Mul", [heads([1, 2], [3, 4]), heads([5, 6])], """
y@3: 5 6
tie 5=1 6=2 5=3 6=4
"""),
    Case("PRelu", [channels(1, 2), weight(2, 1, 1)], """
y@1: 1 2
w@0: 1 2
"""),
    Case("Clip", [channels(1, 2), weight(), weight()], """
y@1: 1 2
"""),
    Case("Dropout", [channels(1, 2)], """
y@1: 1 2
z@1: 1 2
""", outputs=2),
    Case("MaxPool", [channels(1, 2)], """
pin 1 2: places that a pool remembers count over all channels
""", _POOL, outputs=2),
    Case("GridSample", [channels(1, 2), plain(2, 3, 3, 2)], """
y@1: 1 2
""", opset=16),
    Case("RoiAlign", [channels(1, 2), weight(1, 4), np.zeros(1, np.int64)], """
y@1: 1 2
""", opset=16),
    Case("CenterCropPad", [channels(1, 2), ints(2, 2)], """
y@1: 1 2
""", {"axes": [2, 3]}, 18),
    Case("CenterCropPad", [channels(1, 2), ints(2, 1, 2, 2)], """
pin 1 2: it crops the axis these channels lie on
""", opset=18),
    Case("MeanVarianceNormalization", [channels(1, 2)], """
y@1: 1 2
""", {"axes": [2, 3]}),
    Case("MeanVarianceNormalization", [channels(1, 2)], """
pin 1 2: it normalises over these channels, so removing some changes the others
""", {"axes": [1, 2, 3]}),
    Case("MaxUnpool", [channels(1, 2), channels(3, 4)], """
y@1: 1 2
tie 1=3 2=4
""", {"kernel_shape": [2, 2]}),
    Case("GlobalAveragePool", [by_head([1, 2], [3, 4])], """
y@1: 1 3
tie 2=1 4=3
"""),
]  # fmt: skip

_ZERO = np.zeros(2, np.int8)

QUANTISATION = [
    Case("DynamicQuantizeLinear", [channels(1, 2)], """
y@1: 1 2
ends x@1: 1 2
""", outputs=3),
    Case("QuantizeLinear", [channels(1, 2), weight(), np.int8(0).reshape(())], """
y@1: 1 2
"""),
    Case("QuantizeLinear", [channels(1, 2), weight(2), _ZERO], """
y@1: 1 2
w@0: 1 2
b@0: 1 2
"""),
    Case("QuantizeLinear", [channels(1, 2), weight(4)], """
pin 1 2: it works across the axis these channels lie on
""", {"axis": 3}),
    Case("DequantizeLinear", [tokens(1, 2), weight(2), _ZERO], """
y@2: 1 2
w@0: 1 2
b@0: 1 2
""", {"axis": -1}),
    Case("DequantizeLinear", [features(1, 2), weight(2, 1)], """
pin 1 2: its scales are blocked along several axes
""", {"axis": 1, "block_size": 2}, 21),
    *(Case(kind, [channels(1, 2), weight(2, 1, 1)], """
y@1: 1 2
w@0: 1 2
""") for kind in QUANTISERS),
]  # fmt: skip

CASES = [*EVERY_BINARY, *EVERY_UNARY, *EVERY_POOL, *BINARY, *QUANTISATION]
