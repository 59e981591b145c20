"""Operators that onnx's reference evaluator computes wrongly or only to float32, slowly and obviously in float64."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun
from scipy.special import erf

from .lowered import REPLACED_LOWERED
from .recurrent import REPLACED_RECURRENT

Array = NDArray[Any]


class Erf(OpRun):
    """onnx's rounds to float32."""

    op_domain = ""

    def _run(self, x: Array) -> tuple[Array]:
        return (np.asarray(erf(x)),)


class Mean(OpRun):
    """onnx's fails where the first operand is repeated."""

    op_domain = ""

    def _run(self, *operands: Array) -> tuple[Array]:
        return (np.asarray(sum(operands) / len(operands)),)


class Gelu(OpRun):
    """onnx's rounds to float32."""

    op_domain = ""

    def _run(self, x: Array, approximate: str | None = None) -> tuple[Array]:
        if approximate == "tanh":
            return (x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),)
        return (x / 2 * (1 + np.asarray(erf(x / np.sqrt(2)))),)


class GroupNormalization(OpRun):
    """onnx's mixes float32 and float64."""

    op_domain = ""

    def _run(self, x: Array, scale: Array, bias: Array, **form: Any) -> tuple[Array]:
        groups, along = int(form["num_groups"]), [1] * (x.ndim - 2)
        parts = x.reshape(x.shape[0], groups, -1)
        apart = parts - parts.mean(-1, keepdims=True)
        epsilon = form.get("epsilon") or 1e-5
        normal = (apart / np.sqrt((apart**2).mean(-1, keepdims=True) + epsilon)).reshape(x.shape)
        scale, bias = (np.repeat(p, x.shape[1] // len(p)).reshape(-1, *along) for p in (scale, bias))
        return (normal * scale + bias,)


class Pad(OpRun):
    """onnx's takes no negative amounts, which cut before the rest is added."""

    op_domain = ""

    def _run(self, x: Array, pads: Array, value: Any = None, axes: Any = None, mode: str | None = None) -> tuple[Array]:
        named = [int(axis) for axis in (range(x.ndim) if axes is None else axes)]
        rows = list(zip(named, pads[: len(named)].tolist(), pads[len(named) :].tolist(), strict=True))
        for axis, before, after in rows:
            x = x.take(range(max(0, -before), x.shape[axis] - max(0, -after)), axis)
        widths = [(0, 0)] * x.ndim
        for axis, before, after in rows:
            widths[axis] = max(0, before), max(0, after)
        if mode in (None, "constant"):
            return (np.pad(x, widths, constant_values=0.0 if value is None else float(value)),)
        return (np.pad(x, widths, mode=mode),)  # type: ignore[call-overload]


class Conv(OpRun):
    """onnx's is slow, and wrong for some groups."""

    op_domain = ""

    def _run(self, x: Array, w: Array, b: Array | None = None, **form: Any) -> tuple[Array]:
        dims = w.ndim - 2
        steps, apart = (form.get(name) or [1] * dims for name in ("strides", "dilations"))
        begin, end = _pads(x.shape[2:], w.shape[2:], steps, apart, form)
        x = np.pad(x, [(0, 0), (0, 0), *zip(begin, end, strict=True)])
        reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], apart, strict=True)]
        sizes = [(n - r) // s + 1 for n, r, s in zip(x.shape[2:], reach, steps, strict=True)]
        groups = form.get("group") or 1
        parts = x.reshape(x.shape[0], groups, -1, *x.shape[2:])
        kernel = w.reshape(groups, -1, *w.shape[1:])
        y = np.zeros((x.shape[0], *kernel.shape[:2], *sizes))
        for tap in product(*map(range, w.shape[2:])):
            seen = parts[(..., *_walked(tap, apart, steps, sizes))]
            y += np.einsum("ngc...,gmc->ngm...", seen, kernel[(..., *tap)])
        return (_shifted(y.reshape(x.shape[0], -1, *sizes), b),)


class ConvTranspose(OpRun):
    """onnx's is wrong for groups."""

    op_domain = ""

    def _run(self, x: Array, w: Array, b: Array | None = None, **form: Any) -> tuple[Array]:
        dims = w.ndim - 2
        steps, apart = (form.get(name) or [1] * dims for name in ("strides", "dilations"))
        more = form.get("output_padding") or [0] * dims
        reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], apart, strict=True)]
        whole = [s * (n - 1) + r + e for s, n, r, e in zip(steps, x.shape[2:], reach, more, strict=True)]
        begin, sizes = _crop(x.shape[2:], whole, steps, form)
        groups = form.get("group") or 1
        parts = x.reshape(x.shape[0], groups, -1, *x.shape[2:])
        kernel = w.reshape(groups, -1, *w.shape[1:])
        room = [max(n, b + size) for n, b, size in zip(whole, begin, sizes, strict=True)]
        y = np.zeros((x.shape[0], groups, w.shape[1], *room))
        for tap in product(*map(range, w.shape[2:])):
            y[(..., *_walked(tap, apart, steps, x.shape[2:]))] += np.einsum(
                "ngc...,gcm->ngm...", parts, kernel[(..., *tap)]
            )
        kept = tuple(slice(first, first + size) for first, size in zip(begin, sizes, strict=True))
        return (_shifted(y[(..., *kept)].reshape(x.shape[0], -1, *sizes), b),)


class MaxPool(OpRun):
    """onnx's is wrong for some pads."""

    op_domain = ""

    def _run(self, x: Array, **form: Any) -> tuple[Array]:
        seen, real, _ = _windows(x, form)
        return (np.where(real, seen, -np.inf).max(-1),)


class AveragePool(OpRun):
    """onnx's is wrong for dilations and for some pads."""

    op_domain = ""

    def _run(self, x: Array, **form: Any) -> tuple[Array]:
        seen, real, padded = _windows(x, form)
        counted = padded if form.get("count_include_pad") else real
        return (np.where(real, seen, 0.0).sum(-1) / counted.sum(-1),)


def _windows(x: Array, form: Any) -> tuple[Array, Array, Array]:
    """Return what each window reads on a last axis, which of that lies in the input, and which in the padded one."""
    kernel, dims, sizes = form["kernel_shape"], x.ndim - 2, x.shape[2:]
    steps, apart = (form.get(name) or [1] * dims for name in ("strides", "dilations"))
    begin, end = _pads(sizes, kernel, steps, apart, form)
    spots, real, padded = [], np.True_, np.True_
    for axis, (n, b, e, k, s, d) in enumerate(zip(sizes, begin, end, kernel, steps, apart, strict=True)):
        count = (n + b + e - (k - 1) * d - 1 + (s - 1 if form.get("ceil_mode") else 0)) // s + 1
        shape = np.ones(2 * dims, int)
        shape[[axis, dims + axis]] = count, k
        spot = (np.arange(count)[:, None] * s - b + np.arange(k) * d).reshape(shape)
        real = real & (spot >= 0) & (spot < n)
        padded = padded & (spot >= -b) & (spot < n + e)
        spots.append(np.clip(spot, 0, n - 1))
    seen = x[(..., *spots)]
    flat = (*seen.shape[:2], *seen.shape[2 : 2 + dims], -1)
    return seen.reshape(flat), real.reshape(flat[2:]), padded.reshape(flat[2:])


def _walked(tap: Any, apart: Any, steps: Any, sizes: Any) -> tuple[slice, ...]:
    rows = zip(tap, apart, steps, sizes, strict=True)
    return tuple(slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, s, n in rows)


def _pads(sizes: Any, kernel: Any, steps: Any, apart: Any, form: Any) -> tuple[list[int], list[int]]:
    mode, dims = form.get("auto_pad") or "NOTSET", len(sizes)
    if not mode.startswith("SAME"):
        pads = form.get("pads") if mode == "NOTSET" else None
        pads = list(pads or [0] * 2 * dims)
        return pads[:dims], pads[dims:]
    rows = zip(sizes, kernel, steps, apart, strict=True)
    total = [max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n) for n, k, s, d in rows]
    less, most = [t // 2 for t in total], [t - t // 2 for t in total]
    return (less, most) if mode == "SAME_UPPER" else (most, less)


def _crop(sizes: Any, whole: list[int], steps: Any, form: Any) -> tuple[list[int], list[int]]:
    mode, dims, wanted = form.get("auto_pad") or "NOTSET", len(sizes), form.get("output_shape")
    if not wanted and not mode.startswith("SAME"):
        pads = list((form.get("pads") if mode == "NOTSET" else None) or [0] * 2 * dims)
        return pads[:dims], [n - pads[i] - pads[dims + i] for i, n in enumerate(whole)]
    wanted = list(wanted or [n * s for n, s in zip(sizes, steps, strict=True)])
    total = [max(0, n - size) for n, size in zip(whole, wanted, strict=True)]
    return [t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in total], wanted


def _shifted(y: Array, b: Array | None) -> Array:
    return y if b is None else y + b.reshape(-1, *[1] * (y.ndim - 2))


REPLACED = [
    *(Erf, Mean, Gelu, GroupNormalization, Pad, Conv, ConvTranspose, MaxPool, AveragePool),
    type("Gelu", (Gelu,), {"op_domain": "com.microsoft"}),
    *REPLACED_RECURRENT,
    *REPLACED_LOWERED,
]
