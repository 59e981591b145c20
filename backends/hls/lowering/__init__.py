"""Lowering: the ONNX graph of a float network becomes layers of streaming hardware."""

from .lower import lower
from .unquantised import quantises, without_quantisers

__all__ = ["lower", "quantises", "without_quantisers"]
