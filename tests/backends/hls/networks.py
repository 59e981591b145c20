"""Small networks made by hand; between them they hold every layer that hls4ml takes."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from optimise_onnx.backends.hls.network import (
    Activation,
    Addition,
    Affine,
    Concatenation,
    Convolution,
    Curve,
    Dense,
    Flatten,
    Input,
    Layer,
    Multiplication,
    Network,
    Pooling,
    Shape,
    Stuffing,
    Upsampling,
)


class Maker:
    """Appends layers, works their shapes out, draws their weights."""

    def __init__(self, shape: Shape, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.layers: list[Layer] = [Input("x", (), shape, "x")]

    def network(self, *outputs: str) -> Network:
        return Network(tuple(self.layers), outputs)

    def _shape(self, name: str) -> Shape:
        return next(layer.shape for layer in self.layers if layer.name == name)

    def _add(self, layer: Layer) -> str:
        self.layers.append(layer)
        return layer.name

    def conv(
        self,
        name: str,
        source: str,
        channels: int,
        size: tuple[int, int],
        strides: tuple[int, int] = (1, 1),
        depthwise: bool = False,
    ) -> str:
        height, width, taken = self._shape(source)
        pads = ((size[0] - 1) // 2, (size[1] - 1) // 2, size[0] // 2, size[1] // 2)
        kernel = self.random.normal(size=(*size, taken, 1 if depthwise else channels))
        kernel /= np.sqrt(size[0] * size[1] * (1 if depthwise else taken))
        bias = self.random.normal(0, 0.2, channels)
        shape = ((height - 1) // strides[0] + 1, (width - 1) // strides[1] + 1, channels)
        return self._add(Convolution(name, (source,), shape, name, kernel, bias, strides, pads, depthwise))

    def dense(self, name: str, source: str, outputs: int) -> str:
        (taken,) = self._shape(source)
        weight = self.random.normal(0, taken**-0.5, (taken, outputs))
        return self._add(Dense(name, (source,), (outputs,), name, weight, self.random.normal(0, 0.2, outputs)))

    def curve(self, name: str, source: str, kind: Curve = "relu", *parameters: float) -> str:
        return self._add(Activation(name, (source,), self._shape(source), name, kind, parameters))

    def pool(
        self,
        name: str,
        source: str,
        kind: Literal["max", "average"],
        size: int,
        stride: int = 0,
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> str:
        height, width, channels = self._shape(source)
        step = stride or size
        shape = (
            (height + pads[0] + pads[2] - size) // step + 1,
            (width + pads[1] + pads[3] - size) // step + 1,
            channels,
        )
        return self._add(Pooling(name, (source,), shape, name, kind, (size, size), (step, step), pads))

    def add(self, name: str, one: str, other: str) -> str:
        return self._add(Addition(name, (one, other), self._shape(one), name))

    def multiply(self, name: str, one: str, other: str) -> str:
        return self._add(Multiplication(name, (one, other), self._shape(one), name))

    def repeat(self, name: str, source: str, rows: int, columns: int) -> str:
        *pixels, channels = self._shape(source)
        height, width = pixels or (1, 1)
        return self._add(Upsampling(name, (source,), (height * rows, width * columns, channels), name, (rows, columns)))

    def stuff(self, name: str, source: str, rows: int, columns: int) -> str:
        height, width, channels = self._shape(source)
        return self._add(Stuffing(name, (source,), (height * rows, width * columns, channels), name, (rows, columns)))

    def concat(self, name: str, one: str, other: str) -> str:
        *place, channels = self._shape(one)
        shape = (*place, channels + self._shape(other)[-1])
        return self._add(Concatenation(name, (one, other), shape, name))

    def affine(self, name: str, source: str) -> str:
        shape = self._shape(source)
        scale, shift = self.random.uniform(0.5, 1.5, shape[-1]), self.random.normal(0, 0.3, shape[-1])
        return self._add(Affine(name, (source,), shape, name, scale, shift))

    def flatten(self, name: str, source: str) -> str:
        return self._add(Flatten(name, (source,), (int(np.prod(self._shape(source))),), name))


def plain() -> Network:
    """Convolution, ReLU, largest of 2 x 2, two dense layers with a curve between and one without."""
    net = Maker((8, 8, 3))
    net.curve("r1", net.conv("c1", "x", 4, (3, 3)))
    net.flatten("f", net.pool("p", "r1", "max", 2))
    net.curve("r2", net.dense("d1", "f", 12))
    net.dense("d3", net.dense("d2", "r2", 7), 5)
    return net.network("d3")


def residual() -> Network:
    """An identity and a projection shortcut, a stride of 2, the mean of the whole map, and a normalisation between."""
    net = Maker((8, 8, 3), 1)
    net.curve("r1", net.conv("c1", "x", 4, (3, 3)))
    net.curve("r2", net.conv("c2", "r1", 4, (3, 3)))
    net.curve("r3", net.add("a1", net.conv("c3", "r2", 4, (3, 3)), "r1"))
    net.curve("r4", net.conv("c4", "r3", 6, (3, 3), (2, 2)))
    net.add("a2", net.conv("c5", "r4", 6, (3, 3)), net.conv("c6", "r3", 6, (1, 1), (2, 2)))
    net.curve("r5", "a2")
    net.curve("r6", net.affine("n", "r5"))
    net.flatten("f", net.pool("g", "r6", "average", 4))
    net.dense("d", "f", 5)
    return net.network("d")


def separable() -> Network:
    """Depthwise and pointwise, 3 x 1 then 1 x 3, leaky ReLU, ReLU6, channels joined, means of 2 x 2; three results."""
    net = Maker((8, 8, 4), 2)
    net.curve("r1", net.conv("c1", "x", 4, (3, 3), depthwise=True), "clip", 0.0, 1.25)
    net.curve("l", net.conv("c2", "r1", 6, (1, 1)), "leaky_relu", 0.1)
    net.conv("c3", "x", 3, (3, 1), (2, 1))
    net.curve("r2", net.conv("c4", "c3", 5, (1, 3), (1, 2)))
    net.concat("j", net.pool("p1", "l", "average", 2), "r2")
    net.curve("r3", net.conv("c5", "j", 4, (3, 3)))
    net.pool("p2", "l", "max", 4)
    return net.network("r2", "p2", "r3")


def curved() -> Network:
    """Dense layers only, through the tables of sigmoid and tanh."""
    net = Maker((16,), 3)
    net.curve("s", net.dense("d1", "x", 12), "sigmoid")
    net.curve("t", net.dense("d2", "s", 8), "tanh")
    net.curve("r", net.dense("d3", "t", 6))
    return net.network("s", "t", "r")


def shared() -> Network:
    """Results that other layers read too, a value added to itself, a 2 x 2 kernel, a normalised vector at the end."""
    net = Maker((8, 8, 3), 4)
    net.curve("r1", net.conv("c1", "x", 4, (3, 3)))
    net.conv("c3", net.add("s", "r1", "r1"), 3, (2, 2))
    net.curve("r2", net.conv("c2", "r1", 3, (3, 3)))
    net.flatten("f", net.curve("r3", net.affine("n", "r2")))
    net.affine("v", net.dense("d", "f", 6))
    return net.network("v", "r1", "c2", "c3")


def windows() -> Network:
    """Pooling that overlaps or is padded, which does not stream."""
    net = Maker((8, 8, 3), 5)
    net.pool("m", net.curve("r", "x"), "max", 3, 2, (1, 1, 1, 1))
    net.pool("a", "r", "average", 3, 2, (1, 1, 1, 1))
    net.pool("o", "x", "max", 3, 1)
    net.conv("c", net.affine("n", "a"), 4, (3, 3))
    net.conv("w", "m", 3, (3, 3), depthwise=True)
    return net.network("m", "a", "o", "c", "w")


def gated() -> Network:
    """A squeeze-and-excitation gate by a clip, a gate by a curve of the same values, a clip with a lower end."""
    net = Maker((6, 4, 3), 6)
    net.curve("r", net.conv("c1", "x", 4, (3, 3)))
    net.flatten("f", net.pool("g", "r", "average", 2))
    net.curve("k", net.dense("d1", "f", 4), "clip", 0.0, 1.0)
    net.multiply("m1", "r", net.repeat("u", "k", 6, 4))
    net.conv("c2", "m1", 3, (3, 3))
    net.multiply("m2", "c2", net.curve("h", "c2", "clip", 0.25, 1.0))
    net.curve("t", "m2", "clip", -0.5, 0.75)
    return net.network("t", "m1")


def upsampled() -> Network:
    """A map that is not square, its pixels repeated, and with zeros between them."""
    net = Maker((3, 4, 2), 7)
    net.curve("r", net.conv("c1", "x", 3, (3, 3)))
    net.curve("s", net.conv("c2", net.stuff("z", "r", 2, 3), 2, (3, 3)))
    net.conv("c3", net.repeat("u", "r", 2, 3), 2, (3, 3))
    net.add("a", "s", "c3")
    return net.network("a")


def tabulated() -> Network:
    """The tables of softplus, softsign and elu, over positive and negative values."""
    net = Maker((16,), 8)
    net.curve("p", net.dense("d1", "x", 12), "softplus")
    net.curve("s", net.dense("d2", "p", 8), "softsign")
    net.curve("e", net.dense("d3", "s", 6), "elu", 0.75)
    return net.network("p", "s", "e")


MADE: dict[str, Callable[[], Network]] = {
    "plain": plain,
    "residual": residual,
    "separable": separable,
    "curved": curved,
    "shared": shared,
    "windows": windows,
    "gated": gated,
    "upsampled": upsampled,
    "tabulated": tabulated,
}


def samples(network: Network, count: int, seed: int = 0) -> np.ndarray:
    """Draw inputs in [-1, 2): both signs."""
    return np.random.default_rng(seed).uniform(-1.0, 2.0, (count, *network.layers[0].shape))
