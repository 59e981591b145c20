"""Convolutions, pools and Resize; tests/ir/adjoint/test_windows.py draws more of them."""

from __future__ import annotations

from typing import Any

from .case import Case, Fixed, spread
from .movement import ints

IMAGE = spread(2, 3, 5, 6)


def _conv(x: tuple[int, ...], w: tuple[int, ...], op: str = "Conv", **form: Any) -> Case:
    channels = w[0] if op == "Conv" else w[1] * int(form.get("group", 1))
    return Case(op, spread(*x), spread(*w, seed=3), spread(channels, seed=5), **form)


CONVOLUTIONS = [
    _conv((2, 3, 5, 6), (4, 3, 3, 3), pads=[1, 1, 1, 1]),
    _conv((2, 3, 6, 7), (4, 3, 3, 2), strides=[2, 3], pads=[0, 1, 2, 0]),
    _conv((1, 4, 9), (6, 2, 3), group=2, dilations=[2]),
    _conv((2, 8, 5, 5), (8, 1, 3, 3), group=8, pads=[1, 1, 1, 1], strides=[2, 2]),
    _conv((2, 3, 5, 5), (6, 1, 3, 3), group=3, auto_pad="SAME_UPPER", strides=[2, 2]),
    _conv((1, 12, 4, 4), (12, 1, 3, 3), group=12, auto_pad="SAME_LOWER"),
    _conv((1, 2, 3, 4, 5), (3, 2, 2, 2, 2), strides=[1, 2, 2]),
    _conv((1, 2, 8, 8), (3, 2, 2, 2), strides=[3, 5]),
    _conv((1, 2, 7, 7), (3, 2, 1, 1), strides=[3, 3]),
    _conv((2, 3, 4, 5), (4, 3, 1, 1)),
    _conv((3, 8, 1, 2), (7, 8, 1, 1)),
    _conv((1, 3, 4), (2, 3, 1)),
    _conv((2, 3, 4, 5), (4, 3, 1, 1), pads=[0, 1, 0, 0]),
    _conv((2, 3, 4, 5), (3, 1, 1, 1), group=3),
    Case("Conv", spread(1, 2, 4, 4), spread(3, 2, 2, 2)),
]

TRANSPOSED = [
    _conv((2, 3, 4, 3), (3, 2, 2, 2), "ConvTranspose", strides=[2, 2]),
    _conv((2, 4, 4, 3), (4, 3, 3, 3), "ConvTranspose", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    _conv((1, 4, 5), (4, 3, 3), "ConvTranspose", group=2, dilations=[2]),
    _conv((1, 4, 5), (4, 1, 3), "ConvTranspose", group=4, strides=[2], pads=[0, 1]),
    _conv((1, 2, 3, 3), (2, 3, 3, 3), "ConvTranspose", auto_pad="SAME_UPPER", strides=[2, 2]),
    _conv((1, 2, 3, 3), (2, 3, 3, 3), "ConvTranspose", auto_pad="SAME_LOWER", strides=[2, 2]),
    _conv((1, 2, 3, 3), (2, 3, 3, 3), "ConvTranspose", output_shape=[6, 5], strides=[2, 2]),
    _conv((1, 2, 3, 3), (2, 3, 2, 2), "ConvTranspose", output_shape=[10, 7], strides=[3, 3], output_padding=[2, 0]),
    _conv((1, 2, 2, 2, 2), (2, 3, 2, 2, 2), "ConvTranspose", strides=[2, 1, 2]),
    _conv((2, 3, 4, 5), (3, 4, 1, 1), "ConvTranspose"),
    Case("ConvTranspose", spread(1, 2, 3), spread(2, 2, 2)),
]

POOLS = [
    Case("GlobalAveragePool", IMAGE),
    Case("GlobalAveragePool", spread(2, 3, 5)),
    Case("GlobalMaxPool", IMAGE),
    Case("MaxPool", IMAGE, kernel_shape=[2, 2], strides=[2, 2]),
    Case("MaxPool", IMAGE, kernel_shape=[3, 3], strides=[1, 2], pads=[1, 1, 1, 1]),
    Case("MaxPool", IMAGE, kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1, dilations=[1, 2]),
    Case("MaxPool", IMAGE, kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER"),
    Case("MaxPool", IMAGE, kernel_shape=[2, 2], storage_order=1),
    Case("AveragePool", IMAGE, kernel_shape=[2, 2], strides=[2, 2]),
    Case("AveragePool", IMAGE, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    Case("AveragePool", IMAGE, kernel_shape=[3, 3], pads=[1, 0, 1, 2], count_include_pad=1),
    Case("AveragePool", IMAGE, kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1),
    Case("AveragePool", IMAGE, kernel_shape=[2, 2], dilations=[2, 3], opset=19),
    Case("AveragePool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
]

PLACES = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def _scaled(mode: str, place: str, *scales: float, **form: Any) -> Case:
    return Case(
        "Resize",
        IMAGE,
        None,
        Fixed([1, 1, *scales]),
        mode=mode,
        coordinate_transformation_mode=place,
        opset=19,
        **form,
    )


def _sized(mode: str, place: str, *sizes: int) -> Case:
    return Case(
        "Resize",
        IMAGE,
        None,
        None,
        ints(2, 3, *sizes),
        mode=mode,
        coordinate_transformation_mode=place,
        opset=19,
    )


RESIZES = [
    *(_scaled(mode, place, 2, 2) for mode in ("nearest", "linear") for place in PLACES),
    *(_scaled(mode, place, 0.6, 1.5) for mode in ("nearest", "linear") for place in PLACES),
    *(_sized(mode, place, 7, 4) for mode in ("nearest", "linear") for place in PLACES),
    *(_sized("linear", place, 1, 1) for place in PLACES),
    *(_scaled("nearest", "asymmetric", 1.5, 0.7, nearest_mode=rounding) for rounding in ROUNDINGS),
    Case("Resize", IMAGE, None, Fixed([2, 3]), axes=[3, 2], mode="nearest"),
    Case("Resize", IMAGE, None, None, ints(8, 9), axes=[2, 3], mode="linear"),
    Case("Resize", spread(1, 2, 5), None, Fixed([1, 1, 2]), mode="linear"),
    Case("Resize", IMAGE, None, Fixed([1, 1, 2, 2]), mode="nearest", nearest_mode="floor", opset=13),
]

WINDOWS = [*CONVOLUTIONS, *TRANSPOSED, *POOLS, *RESIZES]
