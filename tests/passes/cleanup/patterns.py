"""Weights full of duplicates, multiples and zeros, for any graph."""

import numpy as np

from optimise_onnx.ir.graph import Graph, Tensor
from tests.passes.cleanup.support import Array

KINDS = ("alike", "repeated", "multiples", "zeros", "zeros and repeated")


def patterned(graph: Graph, kind: str, rng: np.random.Generator) -> None:
    """Rewrite every stored float of more than three entries; variances stay positive."""
    for tensor in graph.constants():
        array = tensor.array
        scales = any(node.op in ("Resize", "Upsample") for node in tensor.consumers)
        if array.dtype.kind != "f" or array.size < 4 or scales:
            continue
        values = _REWRITES[kind](array, rng).astype(array.dtype)
        graph.set_array(tensor, np.abs(values) + values.dtype.type(0.1) if _is_variance(tensor) else values)


def _is_variance(tensor: Tensor) -> bool:
    return any(node.op == "BatchNormalization" and node.inputs[4] == tensor for node in tensor.consumers)


def _alike(array: Array, _rng: np.random.Generator) -> Array:
    return np.full_like(array, array.flat[0])


def _repeated(array: Array, rng: np.random.Generator) -> Array:
    for axis in range(min(array.ndim, 2)):
        size = array.shape[axis]
        array = array.take(np.arange(size) % min(int(rng.integers(1, 4)), size), axis)
    return array


def _multiples(array: Array, rng: np.random.Generator) -> Array:
    axis = int(rng.integers(0, min(array.ndim, 2)))
    size = array.shape[axis]
    repeated = array.take(np.arange(size) % min(int(rng.integers(1, 4)), size), axis)
    return repeated * _along(rng.choice([0.5, 1.0, 2.0, 3.0], size), axis, array.ndim) if array.ndim > 1 else repeated


def _zeros(array: Array, rng: np.random.Generator) -> Array:
    for axis in range(min(array.ndim, 2)):
        array = array * _along(rng.random(array.shape[axis]) > 0.4, axis, array.ndim)
    return array


def _zeros_and_repeated(array: Array, rng: np.random.Generator) -> Array:
    return _repeated(array * _along(rng.random(array.shape[0]) > 0.3, 0, array.ndim), rng)


def _along(values: Array, axis: int, rank: int) -> Array:
    return values.reshape([-1 if place == axis else 1 for place in range(rank)])


_REWRITES = dict(zip(KINDS, (_alike, _repeated, _multiples, _zeros, _zeros_and_repeated), strict=True))
