"""Operators on constant channels, in numpy: NaN stands for an unknown value and spreads."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import erf, expit

from ...ir.graph import Array, Node

Function = Callable[[Node, int, Sequence[Array | None]], Array]


def _plain(function: Callable[[Array], Array]) -> Function:
    return lambda _node, _opset, inputs: function(_first(inputs))


def _first(inputs: Sequence[Array | None]) -> Array:
    assert inputs[0] is not None
    return inputs[0]


def _folded(function: Callable[[Array, Array], Array]) -> Function:
    def run(_node: Node, _opset: int, inputs: Sequence[Array | None]) -> Array:
        result = _first(inputs)
        for other in inputs[1:]:
            assert other is not None
            result = function(result, other)
        return result

    return run


def _with(names: Sequence[str], function: Callable[..., Array]) -> Function:
    """Pass float attributes after the operand."""

    def run(node: Node, opset: int, inputs: Sequence[Array | None]) -> Array:
        return function(_first(inputs), *(float(node.attribute(name, opset)) for name in names))

    return run


def _times(a: Array, b: Array) -> Array:
    return np.where((a == 0) | (b == 0), 0.0, a * b)


def _over(a: Array, b: Array) -> Array:
    return np.where(b != 0, a / b, np.nan)


def _clip(node: Node, opset: int, inputs: Sequence[Array | None]) -> Array:
    x, low, high = (*inputs, None, None)[:3]
    assert x is not None
    if opset < 11:
        return np.clip(x, node.attribute("min", opset, -np.inf), node.attribute("max", opset, np.inf))
    raised = x if low is None else np.maximum(x, low)
    return raised if high is None else np.minimum(raised, high)


def _gelu(node: Node, opset: int, inputs: Sequence[Array | None]) -> Array:
    x = _first(inputs)
    if str(node.attribute("approximate", opset)) == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))
    return np.asarray(0.5 * x * (1 + erf(x / np.sqrt(2))))


def _softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def _slope(x: Array, slope: Array | float) -> Array:
    return np.where(x < 0, x * slope, x)


FUNCTIONS: dict[str, Function] = {
    "Abs": _plain(np.abs),
    "Add": _folded(np.add),
    "Ceil": _plain(np.ceil),
    "Clip": _clip,
    "Div": _folded(_over),
    "Elu": _with(["alpha"], lambda x, alpha: np.where(x < 0, alpha * np.expm1(x), x)),
    "Erf": _plain(erf),
    "Exp": _plain(np.exp),
    "Floor": _plain(np.floor),
    "Gelu": _gelu,
    "HardSigmoid": _with(["alpha", "beta"], lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1)),
    "HardSwish": _plain(lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "Identity": _plain(np.asarray),
    "LeakyRelu": _with(["alpha"], _slope),
    "Max": _folded(np.maximum),
    "Min": _folded(np.minimum),
    "Mish": _plain(lambda x: x * np.tanh(_softplus(x))),
    "Mul": _folded(_times),
    "Neg": _plain(np.negative),
    "PRelu": _folded(_slope),
    "Pow": _folded(np.power),
    "Relu": _plain(lambda x: np.maximum(x, 0)),
    "Sigmoid": _plain(expit),
    "Softplus": _plain(_softplus),
    "Softsign": _plain(lambda x: x / (1 + np.abs(x))),
    "Sqrt": _plain(np.sqrt),
    "Sub": _folded(np.subtract),
    "Sum": _folded(np.add),
    "Tanh": _plain(np.tanh),
}
