"""Networks for what the shared ones leave out: pads, strides and windows of any size, types that round and saturate."""

import numpy as np

from optimise_onnx.backends.hls.fixed import Fixed
from optimise_onnx.backends.hls.network import Affine, Convolution, Floats, Input, Layer, Network, Pooling, Shape
from optimise_onnx.backends.hls.precision import Types

Made = tuple[Network, dict[str, Types]]
Pair = tuple[int, int]
Pads = tuple[int, int, int, int]

BYTE = Fixed(8, 8, signed=False)
WEIGHT = Fixed(6, 0)
SUM = Fixed(30, 18)
RESULT = Fixed(9, 6, rounds=True, saturates=True)
NARROW = Fixed(7, 6)  # cuts and wraps around
NONE = (0, 0, 0, 0)


def image(shape: Shape) -> Input:
    return Input("x", (), shape, "x")


def results(shape: Shape, size: Pair, strides: Pair, pads: Pads, channels: int) -> Shape:
    height = (shape[0] + pads[0] + pads[2] - size[0]) // strides[0] + 1
    return height, (shape[1] + pads[1] + pads[3] - size[1]) // strides[1] + 1, channels


def conv(
    name: str, source: Layer, size: tuple[int, int], strides: tuple[int, int] = (1, 1), pads: Pads = NONE
) -> Layer:
    random = np.random.default_rng(len(name))
    kernel = WEIGHT.cast(random.normal(0, 0.2, (*size, source.shape[-1], 3)))
    bias = np.array([0.25, -1.5, 0.0])
    shape = results(source.shape, size, strides, pads, 3)
    return Convolution(name, (source.name,), shape, name, kernel, bias, strides, pads)


def pool(name: str, source: Layer, kind: str, size: Pair, strides: Pair = (1, 1), pads: Pads = NONE) -> Layer:
    shape = results(source.shape, size, strides, pads, source.shape[-1])
    return Pooling(name, (source.name,), shape, name, "max" if kind == "max" else "average", size, strides, pads)


def strided() -> Made:
    """Kernels, strides and pads of many kinds."""
    x = image((9, 7, 2))
    layers = [
        conv("even", x, (2, 2), (2, 2)),
        conv("skipping", x, (1, 1), (3, 2)),
        conv("uneven", x, (5, 3), (2, 1), (2, 1, 1, 0)),
        conv("behind", x, (3, 3), (2, 2), (0, 0, 1, 1)),
    ]
    types = {layer.name: Types(RESULT if i % 2 else NARROW, WEIGHT, SUM, SUM) for i, layer in enumerate(layers)}
    return Network((x, *layers), tuple(types)), {"x": Types(BYTE)} | types


def halves() -> Made:
    """Kernels of 3 x 1 and of 1 x 3: the first rests between images, the second between rows."""
    x = image((8, 8, 2))
    down = conv("down", x, (3, 1), pads=(1, 0, 1, 0))
    across = conv("across", down, (1, 3), pads=(0, 1, 0, 1))
    types = {name: Types(RESULT, WEIGHT, SUM, SUM) for name in ("down", "across")}
    return Network((x, down, across), ("across",)), {"x": Types(BYTE)} | types


def pools() -> Made:
    """The largest and the mean of windows, of both signs, of a padded and of the whole image."""
    x = image((8, 6, 2))
    both = conv("both", x, (1, 1))
    layers = [
        pool("padded", both, "max", (3, 3), (2, 2), (1, 1, 1, 1)),
        pool("largest", both, "max", (8, 6)),
        pool("mean", both, "average", (3, 2), (3, 2)),
        pool("overall", both, "average", (8, 6)),
        pool("plain", x, "average", (2, 2), (2, 2)),
    ]
    types = {layer.name: Types(Fixed(12, 8, True, True, True), accumulator=Fixed(24, 14)) for layer in layers}
    given = {"x": Types(BYTE), "both": Types(RESULT, WEIGHT, SUM, SUM)}
    return Network((x, both, *layers), tuple(types)), given | types


def zeros() -> Made:
    """Unused inputs, constant outputs, and scales of which one is 0."""
    x = image((4, 4, 3))
    one = conv("one", x, (3, 3))
    assert isinstance(one, Convolution)
    one.kernel[:, :, 1] = 0
    one.kernel[..., 2] = 0
    scaled = Affine("scaled", ("one",), one.shape, "scaled", np.array([0.5, 0.0, -0.25]), np.array([1.0, -3.5, 0.125]))
    dead = conv("dead", scaled, (1, 1))
    assert isinstance(dead, Convolution)
    dead.kernel[:] = 0
    types = {name: Types(RESULT, WEIGHT, SUM, SUM) for name in ("one", "scaled", "dead")}
    return Network((x, one, scaled, dead), ("one", "scaled", "dead")), {"x": Types(BYTE)} | types


def bytes_for(network: Network, count: int) -> Floats:
    """Draw images of whole numbers from 0 to 255."""
    return np.random.default_rng(7).integers(0, 256, (count, *network.layers[0].shape)).astype(np.float64)
