"""How a layer is built: its strategy, how often it reuses a multiplier, and how many multipliers that takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, isqrt, prod
from types import MappingProxyType
from typing import Literal, TypeGuard

import numpy as np
import numpy.typing as npt

from ..network import Affine, Convolution, Dense, Floats, Layer, Multiplication
from ..style import STREAMED, Style

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


@dataclass(frozen=True)
class Wish:
    """What is asked of a layer's setting; None leaves it open."""

    reuse: int | None = None
    strategy: Strategy | None = None

    def over(self, other: "Wish") -> "Wish":
        """Return this, and of the other what this leaves open."""
        return Wish(self.reuse or other.reuse, self.strategy or other.strategy)


Wishes = Mapping[str, Wish]
"""Wishes by layer name, of some convolutions and dense layers."""

NO_WISH = Wish()
NO_WISHES: Wishes = MappingProxyType({})


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


def weighted(layer: Layer) -> TypeGuard[Convolution | Dense]:
    """Whether a layer has settings at all."""
    return isinstance(layer, Convolution | Dense)


def possible(layer: Layer, style: Style = STREAMED) -> tuple[Strategy, ...]:
    """Return the strategies by which hls4ml computes a layer rightly."""
    if isinstance(layer, Convolution) and layer.depthwise:
        return ("latency", "resource") if style.xilinx and style.io_type == "io_stream" else ("latency",)
    if not weighted(layer):
        return ("latency",)
    return ("latency", "distributed_arithmetic", "resource") if style.adder_graphs else ("latency", "resource")


def strategies(layer: Layer, style: Style = STREAMED) -> tuple[Strategy, ...]:
    """Return the strategies that suit a layer; many weights in parallel need distributed arithmetic, an adder graph."""
    unwanted = "distributed_arithmetic" if weights(layer).size <= UNROLLED_WEIGHTS else "latency"
    found = tuple(strategy for strategy in possible(layer, style) if strategy != unwanted)
    return found or possible(layer, style)


def settings_of(layer: Layer, wish: Wish = NO_WISH, style: Style = STREAMED) -> list[Setting]:
    """Return every setting of a layer that a wish leaves; a strategy that the layer has not is no wish.

    A reuse factor without a strategy is one of resource, whose interval tools keep; 1 unrolls by latency what is small.
    """
    if wish.reuse is not None:
        shared = wish.reuse > 1 or weights(layer).size > UNROLLED_WEIGHTS
        return [buildable(layer, Setting(wish.reuse, wish.strategy or ("resource" if shared else "latency")), style)]
    taken = (wish.strategy,) if wish.strategy in possible(layer, style) else strategies(layer, style)
    return [
        Setting(reuse, strategy)
        for strategy in taken
        if strategy is not None
        for reuse in valid_reuse_factors(layer, strategy, style).tolist()
    ]


def buildable(layer: Layer, wanted: Setting, style: Style = STREAMED) -> Setting:
    """Return what hls4ml makes of a setting.

    A layer that has not the wanted strategy is unrolled by latency. Under resource the reuse factor goes to the nearest
    valid one, of two the smaller: hls4ml would move it too, but neither for 1 x 1 nor for parallel convolutions as its
    own code needs it.
    """
    if wanted.strategy not in possible(layer, style):
        return Setting()
    if wanted.strategy == "latency":
        return wanted
    valid = valid_reuse_factors(layer, wanted.strategy, style).tolist()
    return Setting(min(valid, key=lambda reuse: (abs(reuse - wanted.reuse), reuse)), wanted.strategy)


def valid_reuse_factors(layer: Layer, strategy: Strategy = "resource", style: Style = STREAMED) -> Ints:
    """Return in ascending order the reuse factors (n,) that a strategy can build a layer with, and keeps to.

    Resource, n_in inputs and n_out outputs: the divisors of n_in, and n_in times the divisors of n_out, which is what
    hls4ml's ``get_valid_reuse_factors`` tries out; but n_in at most for parallel and for depthwise convolutions, whose
    code computes something else beyond it. All else: 1. The tools do not keep the interval that the latency strategy
    names at a larger one (docs/hls-cost.md).
    """
    if strategy != "resource" or not weighted(layer):
        return np.ones(1, np.int64)
    inputs, outputs = product_size(layer)
    if isinstance(layer, Convolution) and (layer.depthwise or style.io_type == "io_parallel"):
        return divisors(inputs)
    return np.unique(np.concatenate([divisors(inputs), inputs * divisors(outputs)]))


def divisors(number: int) -> Ints:
    """Return the divisors (n,) of a positive integer in ascending order."""
    small = [d for d in range(1, isqrt(number) + 1) if number % d == 0]
    return np.unique(np.array([*small, *(number // d for d in small)], np.int64))


def multipliers(layer: Layer, setting: Setting) -> int:
    """Count the multipliers of a layer: its products, by those that each multiplier does in turn.

    Constant zeros vanish unless the weights lie in memory (resource). Two streams are multiplied by one for each
    channel.
    """
    if isinstance(layer, Multiplication):
        return layer.shape[-1]
    stored = weights(layer)
    return ceil((stored.size if setting.strategy == "resource" else np.count_nonzero(stored)) / setting.reuse)
