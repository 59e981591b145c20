"""Sizes, steps and zeros of a sliding window, from the attributes of Conv and the pools; 1-D as one row."""

from __future__ import annotations

from dataclasses import dataclass

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
        return _pair([(k - 1) * d + 1 for k, d in zip(self.size, self.dilations, strict=True)])

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
    ones = [1] * len(size)
    strides = _spatial(node.attribute("strides", opset) or ones)
    dilations = _spatial(node.attribute("dilations", opset) or ones)
    bare = Window(_spatial(size), strides, dilations, (0, 0, 0, 0))
    ends = [_ends(node, opset, axis, len(size), bare, image) for axis in (0, 1)]
    for axis, (before, behind) in enumerate(ends):
        missing = (result[axis] - 1) * strides[axis] + bare.reach[axis] - image[axis] - before - behind
        ends[axis] = (before, behind + max(0, missing))
    return Window(bare.size, strides, dilations, (ends[0][0], ends[1][0], ends[0][1], ends[1][1]))


def _ends(node: Node, opset: int, axis: int, rank: int, bare: Window, image: Pair) -> Pair:
    """Zeros before and behind, along one axis."""
    auto = node.attribute("auto_pad", opset, "NOTSET")
    if auto.startswith("SAME"):
        step = bare.strides[axis]
        total = max((-(-image[axis] // step) - 1) * step + bare.reach[axis] - image[axis], 0)
        return (total // 2, total - total // 2) if auto == "SAME_UPPER" else (total - total // 2, total // 2)
    place = axis - (2 - rank)
    pads = node.attribute("pads", opset)
    if auto == "VALID" or not pads or place < 0:
        return 0, 0
    return int(pads[place]), int(pads[place + rank])


def _spatial(values: tuple[int, ...] | list[int]) -> Pair:
    return _pair([1] * (2 - len(values)) + [int(value) for value in values])


def _pair(values: list[int]) -> Pair:
    return values[0], values[1]
