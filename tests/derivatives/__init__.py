"""Operators on small tensors, whose gradients tests compare with finite differences: some cases of every rule."""

from .case import Case, Fixed, spread

__all__ = ["Case", "Fixed", "spread"]
