"""Reductions, Softmax and normalisations."""

from __future__ import annotations

from typing import Any

import numpy as np

from .case import Array, Case, Fixed, spread

X = spread(2, 3, 4)
POSITIVE = spread(2, 3, 4, low=0.2)
NAMES = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Sum", "SumSquare")
FORMS: list[tuple[list[int] | None, dict[str, Any]]] = [
    ([1], {}),
    ([-1, 0], {"keepdims": 0}),
    (None, {}),
    (None, {"keepdims": 0}),
    (None, {"noop_with_empty_axes": 1}),
]


def _reduced(name: str, axes: list[int] | None, form: dict[str, Any]) -> Case:
    named = [] if axes is None else [np.array(axes, np.int64)]
    return Case(f"Reduce{name}", POSITIVE if name == "LogSum" else X, *named, **form)


def _layer(x: Array, *shape: int, **form: Any) -> Case:
    return Case("LayerNormalization", x, spread(*shape, low=0.5), spread(*shape, seed=3), **form)


def _channels(op: str, x: Array, size: int, **form: Any) -> Case:
    return Case(op, x, spread(size, low=0.5), spread(size, seed=3), **form)


REDUCTIONS = [
    *(_reduced(name, *form) for name in NAMES for form in FORMS),
    *(Case("ReduceMean", X, axes=[1], opset=13, keepdims=keep) for keep in (0, 1)),
    Case("ReduceMax", X, axes=[0, 2], opset=13),
    *(Case(op, X, axis=axis) for op in ("Softmax", "LogSoftmax") for axis in (0, 1, -1)),
    *(Case(op, X) for op in ("Softmax", "LogSoftmax")),
    Case("Softmax", X, axis=1, opset=11),
]

_STATISTICS = Fixed([0.3, -0.2, 0.1]), Fixed([0.7, 1.3, 0.4])
NORMALISATIONS = [
    Case("BatchNormalization", spread(2, 3, 4), spread(3), spread(3, seed=2), *_STATISTICS),
    Case("BatchNormalization", spread(2, 3), spread(3), spread(3, seed=2), *_STATISTICS, epsilon=0.1),
    Case("BatchNormalization", spread(1, 3, 2, 2), spread(3), spread(3, seed=2), *_STATISTICS),
    _layer(X, 4),
    _layer(X, 3, 4, axis=1),
    _layer(X, 4, axis=-1, epsilon=0.1),
    _layer(X, 1, 4, axis=1),
    _layer(X, 2, 3, 4, axis=0),
    Case("LayerNormalization", X, spread(4, low=0.5)),
    Case("LayerNormalization", X, spread(4, low=0.5), outputs=3, used=(0, 1, 2)),
    Case("LayerNormalization", X, Fixed(np.ones((3, 4))), axis=1, outputs=3, used=(1,)),
    Case("LayerNormalization", X, Fixed(np.ones(4)), outputs=3, used=(2,)),
    _channels("InstanceNormalization", spread(2, 3, 5), 3),
    _channels("InstanceNormalization", spread(2, 3, 2, 3), 3, epsilon=0.1),
    _channels("GroupNormalization", spread(2, 6, 5), 3, num_groups=3, opset=18),
    _channels("GroupNormalization", spread(2, 6, 2, 3), 6, num_groups=3, opset=21),
    _channels("GroupNormalization", spread(2, 4, 3), 4, num_groups=1, epsilon=0.1, opset=21),
]
