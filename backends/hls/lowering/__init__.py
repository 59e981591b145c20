"""Lowering: the ONNX graph of a float network becomes layers of streaming hardware."""

from .batch import check_batch
from .lower import lower
from .unquantised import quantises, without_quantisers

__all__ = ["check_batch", "lower", "quantises", "without_quantisers"]
