"""How pixels become the numbers that a network takes: ``imagenet``, ``0-1``, ``mean=0.5,std=0.5,order=bgr``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...ir.errors import CalibrationError, UsageError
from ...ir.graph import Array
from .form import Input

HINT = "write imagenet, 0-1, -1-1, raw, or mean=0.485,0.456,0.406,std=0.229,0.224,0.225,size=224,crop=0.875"
_MOST = 255.0
_COLOURS = (1, 3)
_CHOICES = {"layout": ("nchw", "nhwc"), "order": ("rgb", "bgr")}
_LIMITS = {
    "mean": (-_MOST, _MOST, _COLOURS, "one number, or one for red, green and blue"),
    "std": (1e-6, 1e6, _COLOURS, "one number above 0, or one for red, green and blue"),
    "size": (1, 1e5, (1, 2), "a number of pixels, or HEIGHTxWIDTH"),
    "crop": (0.01, 1, (1,), "a share between 0.01 and 1"),
}


@dataclass(frozen=True)
class Preprocess:
    """``(pixel - mean) / std`` of pixels from 0 to 255, for every colour or one number for all.

    ``size``: height and width, None for the model's own; ``crop``: what share of a resized image's shorter side is kept
    in the middle; ``side``: the size where neither says one, 0 for the image's own. ``layout``: empty for the model's.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    size: tuple[int, int] | None = None
    crop: float = 1.0
    side: int = 0
    layout: str = ""
    order: str = "rgb"

    @staticmethod
    def parse(text: str) -> Preprocess:
        """Read a preset, keys with values, or both. Raises UsageError."""
        first, *rest = text.lower().split(",")
        preset = PRESETS.get(first.strip())
        words = _words(rest if preset else [first, *rest], text)
        told = {key: _choice(key, words[key], text) for key in _CHOICES if key in words}
        numbers = {key: _numbers(key, words[key], text) for key in _LIMITS if key in words}
        own = {key: numbers[key] for key in ("mean", "std") if key in numbers}
        scale = _MOST if own and max(abs(number) for each in own.values() for number in each) <= 1 else 1.0
        made: dict[str, Any] = {**told, **{key: tuple(scale * number for number in each) for key, each in own.items()}}
        sides = [int(side) for side in numbers.get("size", [])]
        made |= {"size": (sides[0], sides[-1])} if sides else {}
        made |= {"crop": numbers["crop"][0]} if "crop" in numbers else {}
        return replace((preset or Preprocess())._ordered(told.get("order", "rgb")), **made)

    def others(self, colours: int) -> Iterator[tuple[str, Preprocess]]:
        """Yield what else might be meant, by what to write for it: presets in both orders of colours."""
        for name, preset in PRESETS.items():
            for order in _CHOICES["order"] if colours > 1 else (self.order,):
                own = preset._ordered(order)
                other = replace(self, mean=own.mean, std=own.std, order=order)
                if other != self:
                    yield f"{name},order=bgr" if order == "bgr" else name, other

    def _ordered(self, order: str) -> Preprocess:
        """Return a preset, which is written for red, green and blue, for this order of colours."""
        return replace(self, mean=self.mean[::-1], std=self.std[::-1], order=order) if order == "bgr" else self

    def at(self, wanted: Input) -> Plan:
        """Settle what is left to the model. Raises CalibrationError where it takes no images, or others than said."""
        dims = wanted.shape or ()
        if len(dims) != 4:
            raise _no_images(wanted, f"it takes {wanted.written()}")
        last = self.layout == "nhwc" if self.layout else dims[3] in _COLOURS and dims[1] not in _COLOURS
        height, width, colours = (dims[axis] for axis in ((1, 2, 3) if last else (2, 3, 1)))
        if isinstance(colours, int) and colours not in (0, *_COLOURS):
            raise _no_images(wanted, f"it has {colours} channels, images have 1 or 3")
        own = tuple(dim if isinstance(dim, int) and dim > 0 else self.side for dim in (height, width))
        size = self.size or (own if all(own) else None)
        return Plan(self, size, colours if isinstance(colours, int) and colours else 3, last, wanted)


@dataclass(frozen=True)
class Plan:
    """What is done to every image for one input; ``size`` is None for images that keep theirs."""

    by: Preprocess
    size: tuple[int, ...] | None
    colours: int
    last: bool
    input: Input

    def numbers(self, pixels: Array) -> Array:
        """Turn pixels (samples, height, width, colours), uint8, red first, into what the network takes."""
        if self.by.order == "bgr":
            pixels = pixels[..., ::-1]
        plain = self.by.mean == (0.0,) and self.by.std == (1.0,)
        if not (plain and self.input.dtype.kind in "ui"):
            pixels = (pixels.astype(np.float32) - self._by_colour(self.by.mean)) / self._by_colour(self.by.std)
        return np.ascontiguousarray(pixels if self.last else pixels.transpose(0, 3, 1, 2))

    def _by_colour(self, numbers: tuple[float, ...]) -> Array:
        """Return them as float32; their mean for images that are grey."""
        return np.asarray(numbers if self.colours > 1 else [np.mean(numbers)], np.float32)


PRESETS = {
    "imagenet": Preprocess((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), crop=0.875, side=224),
    "0-1": Preprocess((0.0,), (_MOST,)),
    "-1-1": Preprocess((_MOST / 2,), (_MOST / 2,)),
    "raw": Preprocess(),
}


def _no_images(wanted: Input, why: str) -> CalibrationError:
    return CalibrationError(f"input '{wanted.name}' takes no images", why=why, hint="give an .npz or .npy file")


def _words(words: list[str], text: str) -> dict[str, list[str]]:
    """Return the values by key of ``key=1,2,3,key=4``. Raises UsageError."""
    found: dict[str, list[str]] = {}
    key = ""
    for word in words:
        name, equals, value = word.rpartition("=")
        key = name.strip() if equals else key
        if key not in _CHOICES and key not in _LIMITS:
            raise UsageError(f"cannot read --preprocess '{text}'", why=f"'{word}' is not known", hint=HINT)
        found.setdefault(key, []).append(value.strip())
    return found


def _choice(key: str, values: list[str], text: str) -> str:
    if values[1:] or values[0] not in _CHOICES[key]:
        raise UsageError(f"cannot read --preprocess '{text}'", why=f"{key} is {' or '.join(_CHOICES[key])}")
    return values[0]


def _numbers(key: str, values: list[str], text: str) -> list[float]:
    words = values[0].split("x") if key == "size" else values
    least, most, counts, told = _LIMITS[key]
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) not in counts or not all(least <= number <= most for number in numbers):
        raise UsageError(f"cannot read --preprocess '{text}'", why=f"{key} is {told}")
    return numbers
