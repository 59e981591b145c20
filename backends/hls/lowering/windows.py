"""Sizes, steps and zeros of a sliding window, from the attributes of Conv and the pools; 1-D as one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ....ir.geometry import geometry
from ....ir.graph import Node
from .build import refusal

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]


@dataclass(frozen=True)
class Window:
    """``size`` counts places before ``dilations`` spread them; ``pads`` lie above, left, below and right."""

    size: Pair
    strides: Pair
    dilations: Pair
    pads: Pads

    @property
    def reach(self) -> Pair:
        """How many rows and columns it spans."""
        rows, columns = ((k - 1) * d + 1 for k, d in zip(self.size, self.dilations, strict=True))
        return rows, columns

    def padded(self, pads: Pads) -> Pads:
        """Its zeros and others around them."""
        above, left, below, right = (mine + other for mine, other in zip(self.pads, pads, strict=True))
        return above, left, below, right


def window(node: Node, opset: int, size: tuple[int, ...], image: Pair, result: Pair) -> Window:
    """Read the window of a node; zeros are added where ``result`` (H', W') was rounded up.

    Raises LoweringError for more than two dimensions.
    """
    if len(size) > 2:
        raise refusal(node, f"it has {len(size)} spatial dimensions", "use at most two")
    walk = geometry(node, opset, size)
    before, behind = (_pair(ends, 0) for ends in walk.pads(image[2 - len(size) :]))
    strides, dilations = _pair(walk.strides, 1), _pair(walk.dilations, 1)
    bare = Window(_pair(size, 1), strides, dilations, (0, 0, 0, 0))
    missing = [
        (result[axis] - 1) * strides[axis] + bare.reach[axis] - image[axis] - before[axis] - behind[axis]
        for axis in (0, 1)
    ]
    below, right = (end + max(0, more) for end, more in zip(behind, missing, strict=True))
    return replace(bare, pads=(*before, below, right))


def _pair(values: Sequence[int], filler: int) -> Pair:
    """Return numbers of two axes, ``filler`` for a missing first one."""
    first, second = (*[filler] * (2 - len(values)), *values)
    return first, second
