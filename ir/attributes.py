"""Operator attributes with the defaults of the operator's own schema at the model's opset."""

from functools import cache
from typing import Any

import onnx
import onnx.defs
import onnx.helper

RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)
"""Operators whose outputs are drawn at random."""
ACTIVATIONS = {"GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "RNN": ["Tanh"]}
"""Of each direction of a recurrent layer, where its attribute names none."""
LOOPS = frozenset({"Loop", "Scan"})
"""Operators whose time and memory no shape tells."""


@cache
def defaults(op: str, opset: int, domain: str) -> dict[str, Any]:
    """Return the default of every attribute that has one; empty for operators without a schema."""
    try:
        schema = onnx.defs.get_schema(op, opset, domain)
    except onnx.defs.SchemaError:
        return {}
    found = {}
    for name, attribute in schema.attributes.items():
        if attribute.default_value.name:
            value = onnx.helper.get_attribute_value(attribute.default_value)
            found[name] = [_text(each) for each in value] if isinstance(value, list) else _text(value)
    return found


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
