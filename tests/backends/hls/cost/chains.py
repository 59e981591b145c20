"""Networks written down layer by layer, with ones for weights unless a test needs others."""

import numpy as np

from optimise_onnx.backends.hls.network import (
    Activation,
    Addition,
    Affine,
    Convolution,
    Dense,
    Flatten,
    Floats,
    Input,
    Layer,
    Network,
    Pooling,
)


class Chain:
    """Layers put behind the last one, or behind ``after``; each method returns the new layer's name."""

    def __init__(self, *shape: int) -> None:
        self.layers: list[Layer] = [Input("x", (), shape, "x")]

    def network(self) -> Network:
        return Network(tuple(self.layers), (self.layers[-1].name,))

    def shape(self, name: str | None) -> tuple[int, ...]:
        return self.layers[-1].shape if name is None else {layer.name: layer.shape for layer in self.layers}[name]

    def put(self, layer: Layer) -> str:
        self.layers.append(layer)
        return layer.name

    def heading(
        self, kind: str, shape: tuple[int, ...], after: str | None
    ) -> tuple[str, tuple[str], tuple[int, ...], str]:
        name = f"{kind}{len(self.layers)}"
        return name, (after or self.layers[-1].name,), shape, name

    def conv(
        self,
        channels: int,
        size: tuple[int, int] = (3, 3),
        strides: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        after: str | None = None,
        kernel: Floats | None = None,
        depthwise: bool = False,
    ) -> str:
        height, width, depth = self.shape(after)
        kernel = np.ones((*size, depth, 1 if depthwise else channels)) if kernel is None else kernel
        rows = (height + pads[0] + pads[2] - size[0]) // strides[0] + 1
        columns = (width + pads[1] + pads[3] - size[1]) // strides[1] + 1
        heading = self.heading("conv", (rows, columns, channels), after)
        return self.put(Convolution(*heading, kernel, np.zeros(channels), strides, pads, depthwise))

    def same(self, channels: int, stride: int = 1, after: str | None = None) -> str:
        return self.conv(channels, strides=(stride, stride), pads=(1, 1, 1, 1), after=after)

    def pool(self, size: int) -> str:
        height, width, depth = self.shape(None)
        shape = (height // size, width // size, depth)
        return self.put(Pooling(*self.heading("pool", shape, None), "average", (size, size), (size, size)))

    def relu(self) -> str:
        return self.put(Activation(*self.heading("relu", self.shape(None), None), "relu"))

    def affine(self) -> str:
        depth = self.shape(None)[-1]
        return self.put(Affine(*self.heading("affine", self.shape(None), None), np.ones(depth), np.ones(depth)))

    def add(self, other: str) -> str:
        name = f"add{len(self.layers)}"
        return self.put(Addition(name, (self.layers[-1].name, other), self.shape(None), name))

    def flatten(self) -> str:
        return self.put(Flatten(*self.heading("flatten", (int(np.prod(self.shape(None))),), None)))

    def dense(self, outputs: int, weight: Floats | None = None) -> str:
        (inputs,) = self.shape(None)
        weight = np.ones((inputs, outputs)) if weight is None else weight
        return self.put(Dense(*self.heading("dense", (outputs,), None), weight, np.zeros(outputs)))


def small_cnn(width: int = 8) -> Network:
    """Three convolutions of a 16 x 16 image with a skip, pooling, one more convolution, and a classifier."""
    chain = Chain(16, 16, 3)
    chain.same(width)
    skip = chain.relu()
    chain.same(width)
    chain.relu()
    chain.same(width)
    chain.add(skip)
    chain.relu()
    chain.pool(2)
    chain.same(2 * width, stride=2)
    chain.relu()
    chain.pool(4)
    chain.flatten()
    chain.dense(10)
    return chain.network()


def resnet8(width: int = 16) -> Network:
    """The ResNet-8 of MLPerf Tiny."""
    chain = Chain(32, 32, 3)
    chain.same(width)
    block = chain.relu()
    for stage in range(3):
        stride, depth = 1 if stage == 0 else 2, width << stage
        pads = (1, 1, 1, 1) if stride == 1 else (0, 0, 1, 1)
        chain.conv(depth, strides=(stride, stride), pads=pads, after=block)
        chain.relu()
        last = chain.same(depth)
        if stage:
            block = last
            last = chain.conv(depth, (1, 1), (2, 2), after=chain.layers[-4].name)
        chain.add(block)
        block = chain.relu()
    chain.pool(8)
    chain.flatten()
    chain.dense(10)
    return chain.network()
