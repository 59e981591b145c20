"""Normalisations, softmax and reductions."""

import numpy as np

from optimise_onnx.passes.analysis.channels.rules.table import OVER_TRAILING, REDUCTIONS

from .case import Case, Labels, Live, channels, features, heads, ints, plain, tokens, weight

_NORMALISES = "it normalises over these channels, so removing some changes the others"
_REDUCES = "it reduces over these channels, so removing some changes the result"


_STAY = [op for op in OVER_TRAILING if op not in ("LayerNormalization", "LpNormalization", "RMSNormalization")]


def _extra(op: str) -> list:
    return [ints(2).reshape(())] if op == "CumSum" else []


EVERY_TRAILING = [Case(op, [tokens(1, 2), *_extra(op)], f"pin 1 2: {_NORMALISES}", opset=23) for op in _STAY]

EVERY_REDUCTION = [
    Case(op, [channels(1, 2)], "y@1: 1 2", {"axis": 2} if op.startswith("Arg") else {"axes": [2]}, 12)
    for op in REDUCTIONS
]  # fmt: skip

OTHERS = [
    Case("BatchNormalization", [channels(1, 2), *[weight(2)] * 4], """
y@1: 1 2
w@0: 1 2
b@0: 1 2
c@0: 1 2
d@0: 1 2
"""),
    Case("BatchNormalization", [features(1, 2), *[weight(2)] * 4], """
pin 1 2: its further outputs change with every channel
""", {"training_mode": 1}, outputs=3),
    Case("InstanceNormalization", [channels(1, 2), weight(2), weight(2)], """
y@1: 1 2
w@0: 1 2
b@0: 1 2
"""),
    Case("InstanceNormalization", [tokens(1, 2), weight(5), weight(5)], """
pin 1 2: it works across the axis these channels lie on
"""),
    Case("InstanceNormalization", [Live((2, 1, 2), Labels(np.array([[[1, 2]]]), 2)), weight(1), weight(1)], """
y@2: 1 2
ends x@2: 1 2
"""),
    Case("GroupNormalization", [channels(1, 2, 3, 4), weight(4), weight(4)], """
y@1: 1 1 3 3
w@0: 1 1 3 3
b@0: 1 1 3 3
tie 2=1 4=3
""", {"num_groups": 2}, 21),
    Case("GroupNormalization", [channels(1, 2, 3, 4), weight(2), weight(2)], """
y@1: 1 1 3 3
w@0: 1 3
b@0: 1 3
tie 2=1 4=3
""", {"num_groups": 2}, 18),
    Case("GroupNormalization", [channels(1, 2), weight(2), weight(2)], """
y@1: 1 2
w@0: 1 2
b@0: 1 2
ends x@1: 1 2
""", {"num_groups": 1}, 21),
    Case("GroupNormalization", [tokens(1, 2), weight(5), weight(5)], """
pin 1 2: it works across the axis these channels lie on
""", {"num_groups": 1}, 21),
    Case("LRN", [channels(1, 2)], f"""
pin 1 2: {_NORMALISES}
""", {"size": 3}),
    Case("LRN", [tokens(1, 2)], """
y@2: 1 2
""", {"size": 3}),
    Case("LayerNormalization", [channels(1, 2), weight(4), weight(4)], """
y@1: 1 2
"""),
    Case("LayerNormalization", [channels(1, 2), weight(4), weight(4)], """
y@1: 1 2
""", outputs=2),
    Case("LayerNormalization", [tokens(1, 2), weight(2), weight(2)], """
y@2: 1 2
w@0: 1 2
b@0: 1 2
ends x@2: 1 2
""", outputs=3),
    Case("LayerNormalization", [tokens(1, 2), weight(1), weight(2)], f"""
pin 1 2: {_NORMALISES}
"""),
    Case("LayerNormalization", [heads([1, 2], [3, 4]), weight(2)], """
y@3: 1 2
w@0: 1 2
ends x@3: 1 2
tie 3=1 4=2
"""),
    Case("RMSNormalization", [tokens(1, 2), weight(2)], """
y@2: 1 2
w@0: 1 2
ends x@2: 1 2
""", opset=23),
    Case("LpNormalization", [tokens(1, 2)], """
y@2: 1 2
ends x@2: 1 2
"""),
    Case("Softmax", [tokens(1, 2)], f"""
pin 1 2: {_NORMALISES}
""", {"axis": 1}, opset=11),
    Case("Softmax", [tokens(1, 2)], """
y@2: 1 2
""", {"axis": 1}),
    Case("CumSum", [tokens(1, 2), ints(1).reshape(())], """
y@2: 1 2
"""),
    Case("CumSum", [tokens(1, 2), plain()], """
pin 1 2: its axis is computed at run time
"""),
    Case("ReduceSum", [tokens(1, 2), ints(2)], """
ends x@2: 1 2
"""),
    Case("ReduceMean", [tokens(1, 2)], """
ends x@2: 1 2
"""),
    Case("ReduceMax", [tokens(1, 2), ints()], f"""
pin 1 2: {_REDUCES}
""", opset=18),
    Case("ReduceMax", [tokens(1, 2), ints()], """
y@2: 1 2
""", {"noop_with_empty_axes": 1}, 18),
    Case("ReduceSum", [tokens(1, 2), plain(1)], """
pin 1 2: its shapes are unknown
"""),
    Case("ReduceMean", [heads([1, 2], [3, 4])], """
y@2: 1 2
tie 3=1 4=2
""", {"axes": [2], "keepdims": 0}),
]  # fmt: skip

CASES = [*EVERY_TRAILING, *EVERY_REDUCTION, *OTHERS]
