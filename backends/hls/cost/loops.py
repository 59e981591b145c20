"""How often the loops of streamed layers run; the figures are hls4ml's own templates', read as Vitis gets them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..network import Convolution, Dense, Flatten, Layer, Network, Pooling, Shape
from .settings import Setting, Strategy

SHUFFLE_CYCLES = 6
"""What moving a window costs where the loop over the pixels is no pipeline: as hls4ml counts for ``target_cycles``."""


@dataclass(frozen=True)
class Loop:
    """An interval of ``fixed`` plus ``per_reuse`` times the reuse factor cycles."""

    fixed: int
    per_reuse: int

    def interval(self, reuse: int) -> int:
        """Return the cycles from one sample to the next."""
        return self.fixed + self.per_reuse * reuse


def packs(network: Network) -> dict[str, int]:
    """Count by layer name the words in which a result goes through its stream: a pixel, or a whole vector, each.

    A flattened map stays in pixels.
    """
    counts: dict[str, int] = {}
    for layer in network.layers:
        kept = len(layer.shape) == 1 and layer.inputs and not isinstance(layer, Dense)
        counts[layer.name] = counts[layer.inputs[0]] if kept else int(np.prod(layer.shape[:-1]))
    return counts


def padded(layer: Convolution | Pooling, shape: Shape) -> tuple[int, int]:
    """Return height and width of an input of ``shape`` (H, W, C) with its pads."""
    top, left, bottom, right = layer.pads
    return shape[0] + top + bottom, shape[1] + left + right


def window(layer: Convolution | Pooling) -> tuple[int, int]:
    """Return height and width of what a layer looks at to give one pixel."""
    height, width = layer.size if isinstance(layer, Pooling) else layer.kernel.shape[:2]
    return height, width


def complete(layer: Convolution | Pooling, shape: Shape) -> npt.NDArray[np.bool_]:
    """Mark the pixels (H padded, W padded) with which a window becomes complete, each giving a pixel of the result."""

    def axis(length: int, size: int, stride: int) -> npt.NDArray[np.bool_]:
        ahead = np.arange(length) - (size - 1)
        return np.asarray((ahead >= 0) & (ahead % stride == 0))

    rows, columns = map(axis, padded(layer, shape), window(layer), layer.strides)
    return np.asarray(rows[:, None] & columns)


def loop(layer: Layer, strategy: Strategy, network: Network, counts: Mapping[str, int]) -> Loop:
    """Return how the interval of a layer follows from its reuse factor; ``counts``: :func:`packs` of the network.

    A convolution's loop over the padded pixels is a pipeline but under the resource strategy, where only complete
    windows take the product's time. A dense layer gathers its input first, unless it comes as one word.
    """
    match layer:
        case Convolution() | Pooling():
            shape = network.by_name[layer.inputs[0]].shape
            pixels, windows = int(np.prod(padded(layer, shape))), int(np.prod(layer.shape[:2]))
            if isinstance(layer, Pooling):
                return Loop(pixels, 0)
            if strategy == "resource":
                return Loop(pixels - windows + windows * SHUFFLE_CYCLES, windows)
            return Loop(0, pixels)
        case Dense():
            words = counts[layer.inputs[0]]
            return Loop(words if words > 1 else 0, 1)
        case Flatten():
            return Loop(0, 0)
    return Loop(counts[layer.name], 0)


def interval(layer: Layer, setting: Setting, network: Network, counts: Mapping[str, int]) -> int:
    """Return the cycles that a layer takes from one sample to the next."""
    return loop(layer, setting.strategy, network, counts).interval(setting.reuse)
