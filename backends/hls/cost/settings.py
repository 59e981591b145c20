"""How a layer is built: its strategy, how often it reuses a multiplier, and how many multipliers that takes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, isqrt, prod
from typing import Literal, TypeGuard

import numpy as np
import numpy.typing as npt

from ..network import Affine, Convolution, Dense, Floats, Layer

Ints = npt.NDArray[np.int64]
Strategy = Literal["latency", "distributed_arithmetic", "resource"]

UNROLLED_WEIGHTS = 4096
"""The most weights of a layer that hls4ml advises to unroll with the latency strategy."""


@dataclass(frozen=True)
class Setting:
    """``reuse``: the products that a multiplier does in turn; 1 is fully unrolled."""

    reuse: int = 1
    strategy: Strategy = "latency"


Settings = Mapping[str, Setting]
"""Settings by layer name, of convolutions and dense layers."""


def weights(layer: Layer) -> Floats:
    """Return what a layer multiplies with, of any shape; empty where it multiplies with nothing constant."""
    match layer:
        case Convolution():
            return layer.kernel
        case Dense():
            return layer.weight
        case Affine():
            return layer.scale
    return np.zeros(0)


def product_size(layer: Convolution | Dense) -> tuple[int, int]:
    """Return the inputs and outputs of the product of matrix and vector that a layer does again and again."""
    if isinstance(layer, Dense):
        rows, columns = layer.weight.shape
        return rows, columns
    kernel = layer.kernel.shape
    return prod(kernel[:3]), kernel[3]


def has_choice(layer: Layer) -> TypeGuard[Convolution | Dense]:
    """Whether hls4ml builds a layer by several strategies; it has one that computes right for depthwise ones."""
    return isinstance(layer, Dense) or (isinstance(layer, Convolution) and not layer.depthwise)


def strategies(layer: Layer) -> tuple[Strategy, ...]:
    """Return the strategies that suit a layer; many weights in parallel need distributed arithmetic, an adder graph."""
    if not has_choice(layer):
        return ("latency",)
    first: Strategy = "latency" if weights(layer).size <= UNROLLED_WEIGHTS else "distributed_arithmetic"
    return (first, "resource")


def buildable(layer: Layer, wanted: Setting) -> Setting:
    """Return what hls4ml makes of a setting.

    A depthwise layer has the latency strategy. Under resource the reuse factor goes to the nearest valid one, of two
    the smaller: hls4ml would move it too, but for 1 x 1 convolutions not as its own code needs it.
    """
    if not has_choice(layer):
        return replace(wanted, strategy="latency")
    if wanted.strategy != "resource":
        return wanted
    valid = valid_reuse_factors(layer).tolist()
    return replace(wanted, reuse=min(valid, key=lambda reuse: (abs(reuse - wanted.reuse), reuse)))


def valid_reuse_factors(layer: Layer, strategy: Strategy = "resource") -> Ints:
    """Return in ascending order the reuse factors (n,) that a strategy can build a layer with.

    Resource, n_in inputs and n_out outputs: the divisors of n_in, and n_in times the divisors of n_out, which is what
    hls4ml's ``get_valid_reuse_factors`` tries out. Latency: all, and none above the number of nonzeros gains anything.
    Distributed arithmetic, and layers of other kinds: 1.
    """
    if strategy == "distributed_arithmetic" or not isinstance(layer, Convolution | Dense):
        return np.ones(1, np.int64)
    if strategy == "latency":
        return np.arange(1, max(1, int(np.count_nonzero(weights(layer)))) + 1, dtype=np.int64)
    inputs, outputs = product_size(layer)
    return np.unique(np.concatenate([divisors(inputs), inputs * divisors(outputs)]))


def divisors(number: int) -> Ints:
    """Return the divisors (n,) of a positive integer in ascending order."""
    small = [d for d in range(1, isqrt(number) + 1) if number % d == 0]
    return np.unique(np.array([*small, *(number // d for d in small)], np.int64))


def multipliers(layer: Layer, setting: Setting) -> int:
    """Count the multipliers of a layer: its products, by those that each multiplier does in turn.

    Constant zeros vanish unless the weights lie in memory (resource).
    """
    stored = weights(layer)
    return ceil((stored.size if setting.strategy == "resource" else np.count_nonzero(stored)) / setting.reuse)
