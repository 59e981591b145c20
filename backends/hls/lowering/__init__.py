"""Lowering: the ONNX graph of a float network becomes layers of streaming hardware."""

from .lower import lower

__all__ = ["lower"]
