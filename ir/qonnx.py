"""Quantisers of QONNX (arXiv:2206.07527), the form in which Brevitas, QKeras and FINN exchange networks.

``Quant`` (x, scale, zero, bits) is ``(round(clip(x / scale + zero)) - zero) * scale``, of any number of bits;
``BipolarQuant`` (x, scale) is ``scale`` or ``-scale``. onnxruntime has no kernels for them: what runs are standard
operators in their place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.helper
import onnx.numpy_helper

from .errors import InvalidModelError

DOMAIN = "qonnx.custom_op.general"
BIPOLAR = f"{DOMAIN}.BipolarQuant"
QUANT = (f"{DOMAIN}.Quant", f"{DOMAIN}.IntQuant")
QUANTISERS = (*QUANT, BIPOLAR)

Floats = npt.NDArray[Any]

_ROUNDINGS: Mapping[str, tuple[str, Callable[[Floats], Floats]]] = {
    "CEIL": ("Ceil", np.ceil),
    "DOWN": ("Floor", np.fix),
    "FLOOR": ("Floor", np.floor),
    "HALF_EVEN": ("Round", np.rint),
    "ROUND": ("Round", np.rint),
}
_HINT = f"export with one of {', '.join(_ROUNDINGS)}"


@dataclass(frozen=True)
class Levels:
    """The integers that a quantiser knows, ``low`` to ``high``, and how it rounds to them: a key of the table above.

    ``bipolar``: it knows -1 and 1 only.
    """

    low: Floats
    high: Floats
    rounding: str
    bipolar: bool

    @staticmethod
    def of(kind: str, attributes: Mapping[str, Any], bits: Floats | None) -> Levels:
        """Read a node of the qualified operator ``kind``; ``bits`` is the value of its fourth input.

        Raises InvalidModelError for a rounding that is not known, or bits that are not.
        """
        one = np.ones(())
        if kind == BIPOLAR:
            return Levels(-one, one, "ROUND", True)
        signed, narrow = bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0))
        rounding = str(_text(attributes.get("rounding_mode", "ROUND"))).upper()
        if rounding not in _ROUNDINGS:
            raise InvalidModelError(f"a Quant of QONNX rounds by '{rounding}'", hint=_HINT)
        if bits is None or not (bits >= 1).all():
            raise InvalidModelError("a Quant of QONNX has bits that are not stored, or below 1", hint="store them")
        if signed and (bits == 1).all():
            return Levels(-one, one, rounding, True)
        top = 2.0 ** (np.asarray(bits, np.float64) - signed)
        low = narrow - top if signed else 0 * top
        return Levels(low, top - 1 - (narrow and not signed), rounding, False)

    def codes(self, values: Floats, scale: Floats, zero: Floats) -> Floats:
        """Return the integers that values become, in float32 as QONNX computes them."""
        if self.bipolar:
            return np.where(values >= 0, np.float32(1), np.float32(-1))
        moved = values / scale + zero
        return _ROUNDINGS[self.rounding][1](np.clip(moved, self.low.astype(np.float32), self.high.astype(np.float32)))


def stored_codes(
    kind: str, attributes: Mapping[str, Any], values: Floats, scale: Floats, *rest: Floats
) -> tuple[Floats, Floats]:
    """Return the integers that a quantiser makes of stored values, less its zero point, and their scale, as float64.

    ``kind``: its qualified operator; ``rest``: zero point and bits. Raises InvalidModelError as :meth:`Levels.of`.
    """
    zero, bits = (np.zeros((), np.float32), None) if kind == BIPOLAR else rest
    codes = Levels.of(kind, attributes, bits).codes(values, scale, zero) - zero
    return codes.astype(np.float64), scale.astype(np.float64)


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def expanded(model: onnx.ModelProto) -> bool:
    """Put standard operators in the place of a model's quantisers; return whether there were any.

    Raises InvalidModelError as :meth:`Levels.of` does.
    """
    if not any(node.domain == DOMAIN for node in model.graph.node):
        return False
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        kind = f"{node.domain}.{node.op_type}"
        nodes += _Expansion(node, model.graph).nodes(stored) if kind in QUANTISERS else [node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return True


@dataclass(frozen=True)
class _Expansion:
    """Writes one quantiser as standard operators; the constants that they need go into ``graph``."""

    node: onnx.NodeProto
    graph: onnx.GraphProto

    def nodes(self, stored: Mapping[str, onnx.TensorProto]) -> list[onnx.NodeProto]:
        """Return the operators, the last of which gives the quantiser's output."""
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in self.node.attribute}
        bits = stored.get(self.node.input[3]) if len(self.node.input) > 3 else None
        levels = Levels.of(
            f"{self.node.domain}.{self.node.op_type}",
            attributes,
            None if bits is None else onnx.numpy_helper.to_array(bits),
        )
        return self._bipolar() if levels.bipolar else self._integers(levels)

    def _bipolar(self) -> list[onnx.NodeProto]:
        x, scale = self.node.input[:2]
        return [
            self._made("Less", [x, self._constant("zero", np.zeros(()))], "below"),
            self._made("Neg", [scale], "minus"),
            self._made("Where", [self._name("below"), self._name("minus"), scale], ""),
        ]

    def _integers(self, levels: Levels) -> list[onnx.NodeProto]:
        x, scale, zero = self.node.input[:3]
        low, high = self._constant("low", levels.low), self._constant("high", levels.high)
        return [
            self._made("Div", [x, scale], "steps"),
            self._made("Add", [self._name("steps"), zero], "moved"),
            self._made("Max", [self._name("moved"), low], "above"),
            self._made("Min", [self._name("above"), high], "kept"),
            *self._rounded(levels.rounding),
            self._made("Sub", [self._name("codes"), zero], "back"),
            self._made("Mul", [self._name("back"), scale], ""),
        ]

    def _rounded(self, rounding: str) -> list[onnx.NodeProto]:
        op, _ = _ROUNDINGS[rounding]
        if rounding != "DOWN":
            return [self._made(op, [self._name("kept")], "codes")]
        return [
            self._made("Sign", [self._name("kept")], "sign"),
            self._made("Abs", [self._name("kept")], "size"),
            self._made(op, [self._name("size")], "cut"),
            self._made("Mul", [self._name("sign"), self._name("cut")], "codes"),
        ]

    def _name(self, part: str) -> str:
        return f"{self.node.output[0]}/quant/{part}" if part else self.node.output[0]

    def _made(self, op: str, inputs: list[str], part: str) -> onnx.NodeProto:
        return onnx.helper.make_node(op, inputs, [self._name(part)], f"{self.node.name}/quant/{part}")

    def _constant(self, part: str, value: Floats) -> str:
        tensor = onnx.numpy_helper.from_array(np.asarray(value, np.float32), self._name(part))
        self.graph.initializer.append(tensor)
        return tensor.name
