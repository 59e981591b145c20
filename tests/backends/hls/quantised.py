"""Networks in the form of QONNX, as Brevitas exports them: every value and every weight behind a ``Quant`` node."""

from collections.abc import Sequence

import numpy as np
import onnx

from optimise_onnx.ir.qonnx import DOMAIN
from tests.zoo.builder import Builder

SIDE = 6


class Quantised(Builder):
    """Layers whose weights and results are quantised."""

    floats = False

    def quant(
        self, x: str, bits: int, scale: float | Sequence[float], signed: bool = True, narrow: bool = False
    ) -> str:
        """Quant; one scale, or one for each index of the first axis of a weight."""
        scales = np.asarray(scale, np.float32)
        if scales.ndim:
            scales = scales.reshape(-1, *[1] * (len(self.shape(x)) - 1))
        inputs = [x, self.const(scales), self.const(np.float32(0)), self.const(np.float32(bits))]
        return self._shaped("Quant", inputs, signed=int(signed), narrow=int(narrow), rounding_mode="ROUND")

    def bipolar(self, x: str, scale: float) -> str:
        """BipolarQuant."""
        return self._shaped("BipolarQuant", [x, self.const(np.float32(scale))])

    def _shaped(self, op: str, inputs: Sequence[str], **attributes: int | str) -> str:
        return self.declare(self.node(op, inputs, domain=DOMAIN, **attributes), self.shape(inputs[0]))

    def weights(self, shape: Sequence[int], bits: int, scale: float | Sequence[float] = 2.0**-4) -> str:
        """Floats behind a quantiser: of 1 bit, one of signs."""
        stored = self.const(self.uniform(shape, -1, 1), "weight")
        if bits == 1:
            return self.bipolar(stored, 0.25)
        return self.quant(stored, bits, scale, narrow=True)

    def bias(self, count: int) -> str:
        """Multiples of 2**-8; floats where sums are such, as a tie would then be float32's to decide."""
        drawn = self.uniform([count], -1, 1)
        return self.const(drawn if self.floats else np.round(drawn * 256) / np.float32(256), "bias")

    def layer(
        self, x: str, cout: int, bits: int, scale: float | Sequence[float] = 2.0**-4, group: int = 1, k: int = 3
    ) -> str:
        """A convolution."""
        weight = self.weights([cout, self.size(x) // group, k, k], bits, scale)
        return self.conv_with(x, [weight, self.bias(cout)], pad=k // 2, group=group)

    def rectified(self, x: str, bits: int = 4) -> str:
        """Relu, quantised without a sign."""
        return self.quant(self.relu(x), bits, 2.0**-3, signed=False)

    def scores(self, x: str, bits: int, classes: int = 5) -> str:
        """Flatten, Gemm."""
        flat = self.flatten(x)
        weight = self.weights([classes, self.size(flat)], bits)
        return self.node("Gemm", [flat, weight, self.bias(classes)], transB=1)

    def picture(self) -> str:
        """An input of 8 bits."""
        return self.quant(self.input("x", ["N", 2, SIDE, SIDE]), 8, 2.0**-6)


def plain(bits: int) -> onnx.ModelProto:
    """A convolution, a maximum and a product, all weights of ``bits`` bits."""
    b = Quantised(f"bits{bits}", opset=13)
    x = b.max_pool(b.rectified(b.layer(b.picture(), 4, bits)))
    return b.model(b.scores(x, bits))


def residual() -> onnx.ModelProto:
    """A sum of two quantised paths, quantised once more behind it."""
    b = Quantised("residual", opset=13)
    x = b.rectified(b.layer(b.picture(), 4, 4))
    y = b.quant(b.layer(b.rectified(b.layer(x, 4, 3)), 4, 3), 5, 2.0**-3)
    return b.model(b.scores(b.rectified(b.add(x, y)), 4))


def separable() -> onnx.ModelProto:
    """A depthwise convolution, a pointwise one, and the mean of windows of four."""
    b = Quantised("separable", opset=13)
    x = b.rectified(b.layer(b.picture(), 4, 4))
    x = b.rectified(b.layer(x, 4, 4, group=4))
    x = b.rectified(b.layer(x, 6, 4, k=1))
    x = b.node("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])
    return b.model(b.scores(x, 4))


def per_channel(power: bool) -> onnx.ModelProto:
    """Scales of single channels: powers of two, or others."""
    b = Quantised("channels", opset=13)
    b.floats = not power
    scales = [2.0**-5, 2.0**-4, 2.0**-3, 2.0**-4] if power else [0.031, 0.057, 0.11, 0.043]
    x = b.rectified(b.layer(b.picture(), 4, 4, scales), 6)
    return b.model(b.scores(x, 4))


def normalised() -> onnx.ModelProto:
    """A BatchNormalization between a quantised convolution and the quantiser of its result."""
    b = Quantised("normalised", opset=13)
    x = b.rectified(b.bn(b.layer(b.picture(), 4, 4)), 6)
    return b.model(b.scores(x, 4))


def on_grid(count: int, seed: int = 3) -> np.ndarray:
    """Return samples (count, 2, 6, 6) that the input's quantiser leaves as they are, or holds at its ends."""
    steps = np.random.default_rng(seed).integers(-150, 150, (count, 2, SIDE, SIDE))
    return (steps * 2.0**-6).astype(np.float32)
