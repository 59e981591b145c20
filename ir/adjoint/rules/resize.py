"""Resize by the nearest entry or linearly: a matrix along every axis that changes."""

from collections.abc import Mapping

import numpy as np

from ...graph import Array
from ..step import Step
from .axes import back_along


def resize(step: Step) -> Mapping[int, str]:
    """Go back through the interpolation along each axis."""
    odd = {"mode": ("nearest", "linear"), "keep_aspect_ratio_policy": ("stretch",), "antialias": (0,)}
    for name, known in odd.items():
        if step.attribute(name, known[0]) not in known:
            raise step.refuse(f"its {name} is '{step.attribute(name)}'")
    shape, out = step.shape(), step.shape_out()
    scales = _scales(step)
    return {
        0: back_along(
            step.sheet,
            step.slope,
            out,
            {axis: _matrix(step, shape[axis], out[axis], scales[axis]) for axis in _changed(step, scales)},
        )
    }


def _changed(step: Step, scales: list[float]) -> list[int]:
    """Return the axes that are interpolated: none where no size changes, for onnxruntime then copies."""
    shape, out = step.shape(), step.shape_out()
    return [axis for axis in range(len(shape)) if scales[axis] != 1] if shape != out else []


def _scales(step: Step) -> list[float]:
    """Return the scale of every axis: as given, else by the sizes."""
    shape, out = step.shape(), step.shape_out()
    found = [after / before for before, after in zip(shape, out, strict=True)]
    given = step.stored(2)
    if step.has(2) and given is None:
        raise step.refuse("its scales are computed")
    if given is not None and given.size:
        named = step.attribute("axes") or range(len(shape))
        for axis, scale in zip(named, given.tolist(), strict=True):
            found[axis % len(shape)] = float(scale)
    return found


def _matrix(step: Step, inputs: int, outputs: int, scale: float) -> Array:
    """Return (outputs, inputs): the weight of every input in each output."""
    at = _coordinates(step, inputs, outputs, scale)
    if step.attribute("mode", "nearest") == "nearest":
        return np.asarray(np.eye(inputs)[np.clip(_nearest(step, at), 0, inputs - 1)])
    low = np.floor(at).astype(np.int64)
    rest = (at - low)[:, None]
    lower, upper = (np.eye(inputs)[np.clip(low + by, 0, inputs - 1)] for by in (0, 1))
    return np.asarray((1 - rest) * lower + rest * upper)


def _coordinates(step: Step, inputs: int, outputs: int, scale: float) -> Array:
    """Return where in the input every output lies; in float32, as onnxruntime does: the nearest entry depends on it."""
    mode, place = step.attribute("coordinate_transformation_mode", "half_pixel"), np.arange(outputs, dtype=np.float32)
    by, half = np.float32(scale), np.float32(0.5)
    if mode == "asymmetric":
        return np.asarray(place / by)
    if mode == "align_corners":
        return np.asarray(place * np.float32(inputs - 1) / np.float32(max(outputs - 1, 1)))
    if mode == "pytorch_half_pixel" and outputs == 1:
        return np.zeros(1, np.float32)
    if mode == "half_pixel_symmetric":
        middle = np.float32(inputs) / 2 * (1 - np.float32(outputs) / (by * np.float32(inputs)))
        return np.asarray(middle + (place + half) / by - half)
    if mode in ("half_pixel", "pytorch_half_pixel"):
        return np.asarray((place + half) / by - half)
    raise step.refuse(f"its coordinate_transformation_mode is '{mode}'")


def _nearest(step: Step, at: Array) -> Array:
    rounding = {
        "round_prefer_floor": np.ceil(at - 0.5),
        "round_prefer_ceil": np.floor(at + 0.5),
        "floor": np.floor(at),
        "ceil": np.ceil(at),
    }
    return rounding[str(step.attribute("nearest_mode", "round_prefer_floor"))].astype(np.int64)
