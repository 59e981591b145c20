"""Tier 2: distributed arithmetic, the products with constant weights as graphs of shifts and adders, found by da4ml.

Numbers are counted in steps: inputs in steps of their type, sums in steps of input times weight.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ...ir.errors import LoweringError
from .fixed import Fixed
from .network import Affine, Convolution, Dense, Floats, Layer, Network
from .precision import Precision, Types

BLOCK_WEIGHTS = 5_000
"""The most whose common terms are searched at once; larger kernels are cut between outputs, for some 2 % more."""

MAX_WEIGHTS = 25_000
"""The search takes a quarter of an hour above."""

STAGE_ADDERS = 5
"""Adders behind each other between two registers."""

_EXACT_BITS = 24  # da4ml holds weights in single precision


@dataclass(frozen=True, eq=False)
class Kernel:
    """``sums`` of outputs whose weights are not all 0, by da4ml; ``columns`` says which outputs these are.

    ``constants``: the others' values, in steps of input times weight. ``lut``: da4ml's estimate; ``depth``: adders
    behind each other.
    """

    sums: Any
    columns: tuple[int, ...]
    constants: Mapping[int, float]
    lut: int
    depth: int


@dataclass(frozen=True)
class KernelCost:
    """Look-up tables and adders behind each other; both None where ``reason`` says why they are not estimated."""

    lut: int | None
    depth: int | None
    reason: str = ""


def da4ml(module: str) -> ModuleType:
    """Import one module of da4ml; raises LoweringError where it is not installed."""
    try:
        return import_module(f"da4ml.{module}")
    except ImportError as error:
        hint = "pip install 'optimise-onnx[hls]'"
        raise LoweringError("da4ml is not installed", why=str(error), hint=hint) from error


def estimate(network: Network, precision: Precision) -> dict[str, KernelCost]:
    """Estimate the kernel of each convolution, dense and affine layer of up to 25,000 weights.

    Raises LoweringError where da4ml is missing, or weights are not on their grid.
    """
    weighted = [layer for layer in network.layers if isinstance(layer, Convolution | Dense | Affine)]
    return {layer.name: _cost(layer, precision) for layer in weighted}


def _cost(layer: Layer, precision: Precision) -> KernelCost:
    weights, _ = steps(layer, precision[layer.inputs[0]].result, precision[layer.name])
    largest = max((weights[np.ix_(rows, columns)].size for rows, columns in _blocks(weights)), default=0)
    if largest > MAX_WEIGHTS:
        return KernelCost(None, None, f"{largest} weights, over {MAX_WEIGHTS}")
    kernel = layer_kernel(layer, precision)
    return KernelCost(kernel.lut, kernel.depth)


def layer_kernel(layer: Layer, precision: Precision) -> Kernel:
    """Find a layer's adder graph.

    Raises LoweringError where da4ml is missing, the weights are not on their grid, or there are over 25,000.
    """
    operand = precision[layer.inputs[0]].result
    weights, bias = steps(layer, operand, precision[layer.name])
    try:
        return _solve(weights.tobytes(), weights.shape, bias.tobytes(), operand.width, operand.signed)
    except _TooLarge as error:
        why, hint = f"{error} weights in one kernel, over {MAX_WEIGHTS}", "prune it, or take the analytic cost"
        raise _refusal(layer, why, hint) from error


def steps(layer: Layer, operand: Fixed, types: Types) -> tuple[Floats, Floats]:
    """Return a layer's weights as whole numbers (N_in, N_out), and its bias (N_out,) in steps of input times weight.

    Raises LoweringError where the weights are not on the grid of their type.
    """
    if types.weight is None:
        raise _refusal(layer, "its weights have no type")
    weights, bias = _matrix(layer)
    whole = weights / types.weight.step
    if np.any(whole != np.rint(whole)) or np.max(np.abs(whole), initial=0) >= 2**_EXACT_BITS:
        raise _refusal(layer, f"its weights are not whole steps of {types.weight}, or over {_EXACT_BITS} bits")
    return np.ascontiguousarray(whole), np.ascontiguousarray(bias / (operand.step * types.weight.step))


def _matrix(layer: Layer) -> tuple[Floats, Floats]:
    if isinstance(layer, Affine):
        return np.diag(layer.scale), layer.shift
    if isinstance(layer, Dense):
        return layer.weight, layer.bias
    assert isinstance(layer, Convolution)
    taps = layer.kernel.reshape(-1, *layer.kernel.shape[2:])
    if layer.depthwise:
        taps = taps * np.eye(taps.shape[1])
    return taps.reshape(-1, taps.shape[2]), layer.bias


class _TooLarge(Exception):
    """A block that the search would take too long for."""


@lru_cache(maxsize=256)
def _solve(weights: bytes, shape: tuple[int, int], bias: bytes, width: int, signed: bool) -> Kernel:
    trace = da4ml("trace")
    matrix, offset = np.frombuffer(weights).reshape(shape), np.frombuffer(bias)
    kinds = (np.full(shape[0], signed), np.full(shape[0], width - signed), np.zeros(shape[0], np.int64))
    inputs = trace.FixedVariableArray.from_kif(*kinds, trace.HWConfig(1, -1, -1))
    found: dict[int, Any] = {}
    for rows, tied in _blocks(matrix):
        size = rows.size * tied.size
        if size > MAX_WEIGHTS:
            raise _TooLarge(size)
        for columns in np.array_split(tied, min(-(-size // BLOCK_WEIGHTS), tied.size)):
            part = matrix[np.ix_(rows, columns)]
            found |= zip(columns.tolist(), inputs[rows] @ part + offset[columns], strict=True)
    constants = {column: float(offset[column]) for column in range(shape[1]) if column not in found}
    if not found:
        return Kernel(None, (), constants, 0, 0)
    kept = tuple(sorted(found))
    sums = trace.comb_trace(inputs, np.array([found[column] for column in kept], dtype=object))
    return Kernel(sums, kept, constants, round(sums.cost), round(max(sums.out_latency)))


def _blocks(matrix: Floats) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Return the rows and columns that nonzero weights tie together, block by block: groups share nothing."""
    rows, columns = np.nonzero(matrix)
    if not rows.size:
        return []
    height, width = matrix.shape
    ties = coo_array((np.ones(rows.size), (rows, columns + height)), shape=(height + width, height + width))
    labels = connected_components(ties, directed=False)[1]
    below, beside = labels[:height], labels[height:]
    return [(np.flatnonzero(below == label), np.flatnonzero(beside == label)) for label in np.unique(labels[rows])]


def _refusal(layer: Layer, why: str, hint: str = "") -> LoweringError:
    kind = type(layer).__name__
    return LoweringError("no hardware can be made", node_name=layer.source, op_type=kind, why=why, hint=hint)
