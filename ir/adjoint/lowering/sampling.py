"""Images read between their pixels, and pools undone: as what is gathered from, and scattered to, rows of pixels."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx

from ..step import Step, repeated

_IMAGES = 4  # axes of (batch, channels, height, width)


def grid_sample(step: Step) -> list[str]:
    """Mix the pixels around each place of a grid, by how near they are."""
    mode, padding = (step.attribute(name) for name in ("mode", "padding_mode"))
    if len(step.shape()) != _IMAGES or mode not in ("linear", "bilinear", "nearest") or padding == "reflection":
        raise step.refuse("only images are followed, read bilinearly or at the nearest pixel, without reflections")
    batch, channels, *sizes = step.shape()
    rows, columns = step.shape_out()[2:]
    sheet, count = step.sheet, rows * columns
    flat = sheet.reshape(step.x(), (batch, channels, prod(sizes)))
    places = sheet.reshape(step.x(1), (batch, 1, count, 2))
    along = [_pixels(step, sheet.slice(places, {3: (1 - axis, 2 - axis, 1)}), sizes[axis], mode) for axis in range(2)]
    terms = []
    for row, by_row in along[0]:
        for column, by_column in along[1]:
            share = sheet.add("Mul", by_row, by_column)
            place = sheet.add("Add", sheet.add("Mul", row, sheet.constant(sizes[1], np.int64)), column)
            index = sheet.reshape(place, (batch, 1, count))
            seen = sheet.add("GatherElements", flat, repeated(sheet, index, (batch, channels, count)), axis=2)
            terms.append(sheet.add("Mul", seen, sheet.reshape(share, (batch, 1, count))))
    return [sheet.reshape(sheet.total(terms), step.shape_out())]


def _pixels(step: Step, place: str, size: int, mode: str) -> list[tuple[str, str]]:
    """Return the pixels along one axis that a place from -1 to 1 lies between, each with its share."""
    sheet, aligned = step.sheet, bool(step.attribute("align_corners", 0))
    scale, shift = ((size - 1) / 2,) * 2 if aligned else (size / 2, (size - 1) / 2)
    pixel = sheet.add("Add", sheet.add("Mul", place, sheet.constant(scale)), sheet.constant(shift))
    if step.attribute("padding_mode") == "border":
        pixel = sheet.add("Clip", pixel, sheet.constant(0.0), sheet.constant(float(size - 1)))
    if mode == "nearest":
        shares = [(sheet.add("Round", pixel), sheet.constant(1.0))]
    else:
        below = sheet.add("Floor", pixel)
        beyond = sheet.add("Sub", pixel, below)
        one = sheet.constant(1.0)
        shares = [(below, sheet.add("Sub", one, beyond)), (sheet.add("Add", below, one), beyond)]
    return [_held(step, whole, share, size) for whole, share in shares]


def _held(step: Step, whole: str, share: str, size: int) -> tuple[str, str]:
    """Return a pixel as an index that is one, and its share, which is 0 for a pixel outside."""
    sheet = step.sheet
    held = sheet.add("Clip", whole, sheet.constant(0.0), sheet.constant(float(size - 1)))
    there = sheet.truth(sheet.add("Equal", held, whole))
    return sheet.add("Cast", held, to=onnx.TensorProto.INT64), sheet.add("Mul", share, there)


def max_unpool(step: Step) -> list[str]:
    """Put entries back where a pool has found them, zeros elsewhere."""
    if step.has(2):
        raise step.refuse("its output has a size of its own")
    sheet, shape, out = step.sheet, step.shape(), step.shape_out()
    zeros = repeated(sheet, sheet.constant(0.0), (prod(out),))
    index, x = (sheet.reshape(name, (prod(shape),)) for name in (step.x(1), step.x(0)))
    return [sheet.reshape(sheet.add("ScatterElements", zeros, index, x, axis=0), out)]
