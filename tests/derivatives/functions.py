"""Functions of one number, and operators that meet their operands entry by entry."""

from __future__ import annotations

import numpy as np

from .case import Case, Fixed, spread

X = spread(3, 17)
POSITIVE = spread(3, 17, low=0.2, high=3.0)
OPERANDS = spread(2, 1, 3), spread(4, 1)

FUNCTIONS = [
    *(Case(op, X) for op in ("Abs", "Cos", "Erf", "Exp", "Identity", "Neg", "Relu", "Sigmoid", "Sin", "Softplus")),
    *(Case(op, POSITIVE) for op in ("Log", "Sqrt")),
    Case("Reciprocal", X),
    Case("Tanh", X),
    Case("Cast", X, to=1),
    Case("Dropout", X),
    Case("HardSwish", 3 * X),
    Case("Elu", X),
    Case("Elu", X, alpha=0.3),
    Case("Selu", X),
    Case("Selu", X, alpha=1.1, gamma=0.7),
    Case("LeakyRelu", X),
    Case("LeakyRelu", X, alpha=0.3),
    Case("HardSigmoid", 3 * X),
    Case("HardSigmoid", X, alpha=0.4, beta=0.3),
    Case("Gelu", X, opset=20),
    Case("Gelu", X, domain="com.microsoft"),
    Case("CastLike", X, spread(2)),
    Case("Gelu", X, opset=20, approximate="tanh"),
    Case("Clip", X, Fixed(-0.7), Fixed(1.3)),
    Case("Clip", X, None, Fixed(1.3)),
    Case("Clip", X, Fixed(-0.7)),
    Case("Clip", X),
]

ENTRYWISE = [
    *(Case(op, *OPERANDS) for op in ("Add", "Div", "Max", "Mean", "Min", "Mul", "Sub", "Sum")),
    *(Case(op, spread(4, 1), spread(2, 1, 3, seed=9)) for op in ("Add", "Div", "Max", "Mean", "Min", "Mul", "Sub")),
    *(Case(op, spread(2, 3), np.float32(0.7).reshape(())) for op in ("Add", "Div", "Max", "Min", "Mul", "Sub")),
    *(Case(op, spread(2, 3), spread(3, seed=5), spread(2, 1, seed=7)) for op in ("Max", "Mean", "Min", "Sum")),
    *(Case(op, X) for op in ("Max", "Mean", "Min", "Sum")),
    Case("Pow", POSITIVE, Fixed(3.0)),
    Case("Pow", X, Fixed(2.0)),
    Case("Pow", spread(2, 1, 3, low=0.3), spread(4, 1)),
    Case("PRelu", spread(2, 3, 4), spread(3, 1)),
    Case("PRelu", spread(2, 3, 4), spread(1)),
    Case("PRelu", spread(2, 3, 4), spread(2, 3, 4, seed=3)),
    Case("Where", np.array([[True], [False]]), spread(2, 3), spread(3, seed=4)),
    Case("Where", np.array([True, False, True]), spread(1, 1), spread(2, 3, seed=4)),
]
