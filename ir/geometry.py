"""How the windows of convolutions and pools walk over their input."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .handles import Array, Node


@dataclass(frozen=True)
class Geometry:
    """How a window walks: one number a spatial axis. ``auto_pad`` SAME_UPPER or SAME_LOWER overrides the pads."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    auto_pad: str = ""

    @property
    def may_pad(self) -> bool:
        """Whether there is padding, for inputs of some size at least."""
        return any((*self.begin, *self.end)) or (bool(self.auto_pad) and any(size > 1 for size in self.kernel))

    def pads(self, sizes: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the padding before and after each spatial axis of an input of these sizes."""
        if not self.auto_pad:
            return self.begin, self.end
        total = [
            max((-(-size // step) - 1) * step + reach - size, 0)
            for size, step, reach in zip(sizes, self.strides, self.reach(), strict=True)
        ]
        small, large = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
        return (small, large) if self.auto_pad == "SAME_UPPER" else (large, small)

    def positions(self, sizes: Sequence[int]) -> int:
        """How many output positions an input of these spatial sizes gives."""
        padded = np.sum([sizes, *self.pads(sizes)], axis=0)
        return int(np.prod((padded - self.reach()) // np.asarray(self.strides) + 1))

    def reach(self) -> Array:
        """Return how far the window spans along each spatial axis."""
        reach: Array = (np.asarray(self.kernel) - 1) * np.asarray(self.dilations) + 1
        return reach


def geometry(node: Node, opset: int, kernel: Sequence[int]) -> Geometry:
    """Read strides, dilations and pads of a convolution or pool."""
    dims = len(kernel)
    strides, dilations = (
        tuple(int(v) for v in node.attribute(name, opset) or [1] * dims) for name in ("strides", "dilations")
    )
    mode = str(node.attribute("auto_pad", opset, "NOTSET"))
    given = node.attribute("pads", opset) if mode in ("NOTSET", "") else None
    pads = tuple(int(v) for v in given or [0] * (2 * dims))
    same = mode if mode.startswith("SAME") else ""
    return Geometry(tuple(kernel), strides, dilations, pads[:dims], pads[dims:], same)
