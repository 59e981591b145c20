"""A fluent builder of small ONNX models: layers with He-scaled random weights over `GraphBuilder`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from .graph import Array, GraphBuilder, he


class Builder(GraphBuilder):
    """Layers; each reads the channel count of its input, adds its parameters and returns its output's name."""

    # --- random parameters -------------------------------------------------------------------------------

    def weight(self, shape: Sequence[int], fan_in: int | None = None) -> str:
        """He-scaled weight; `fan_in` defaults to the product of all axes but the first."""
        return self.const(he(self.rng, shape, fan_in or prod(shape[1:])), "weight")

    def uniform(self, shape: Sequence[int], low: float, high: float) -> Array:
        """Uniform float32 array."""
        return self.rng.uniform(low, high, tuple(shape)).astype(np.float32)

    def vector(self, size: int, low: float = -0.3, high: float = 0.3, name: str = "bias") -> str:
        """Random 1-D parameter: a bias by default."""
        return self.const(self.uniform([size], low, high), name)

    # --- layers with parameters --------------------------------------------------------------------------

    def conv(
        self, x: str, cout: int, k: int = 3, stride: int = 1, pad: int | None = None, group: int = 1, bias: bool = True
    ) -> str:
        """Conv of any rank, "same" padded unless `pad` is given."""
        cin, rank = self.size(x), len(self.shape(x)) - 2
        weight = self.weight([cout, cin // group, *[k] * rank])
        parameters = [weight, self.vector(cout)] if bias else [weight]
        return self.conv_with(x, parameters, stride, k // 2 if pad is None else pad, group)

    def conv_with(self, x: str, parameters: Sequence[str], stride: int = 1, pad: int = 1, group: int = 1) -> str:
        """Conv with given weight and bias tensors."""
        rank = len(self.shape(x)) - 2
        return self.node("Conv", [x, *parameters], strides=[stride] * rank, pads=[pad] * 2 * rank, group=group)

    def depthwise(self, x: str, k: int = 3, stride: int = 1, multiplier: int = 1) -> str:
        """Depthwise conv: as many groups as input channels."""
        cin = self.size(x)
        return self.conv(x, cin * multiplier, k, stride, group=cin)

    def conv_transpose(self, x: str, cout: int, k: int = 2, stride: int = 2, pad: int = 0, group: int = 1) -> str:
        """ConvTranspose; its weight is [Cin, Cout / group, k, k]."""
        cin, rank = self.size(x), len(self.shape(x)) - 2
        weight = self.weight([cin, cout // group, *[k] * rank], fan_in=max(1, cin // group * k**rank // stride**rank))
        strides, pads = [stride] * rank, [pad] * 2 * rank
        return self.node("ConvTranspose", [x, weight, self.vector(cout)], strides=strides, pads=pads, group=group)

    def bn(self, x: str) -> str:
        """BatchNormalization with non-trivial statistics and shift."""
        return self.node("BatchNormalization", [x, *self.bn_parameters(self.size(x))], epsilon=1e-5)

    def bn_parameters(self, size: int) -> list[str]:
        """Scale, shift, mean and variance of a BatchNormalization."""
        ranges = {"gamma": (0.6, 1.4), "beta": (-0.3, 0.3), "mean": (-0.3, 0.3), "var": (0.5, 1.5)}
        return [self.vector(size, low, high, name) for name, (low, high) in ranges.items()]

    def conv_bn(self, x: str, cout: int, k: int = 3, stride: int = 1, group: int = 1) -> str:
        """Conv without bias, BatchNormalization."""
        return self.bn(self.conv(x, cout, k, stride, group=group, bias=False))

    def conv_relu(self, x: str, cout: int, k: int = 3, stride: int = 1, group: int = 1) -> str:
        """Conv, Relu."""
        return self.relu(self.conv(x, cout, k, stride, group=group))

    def conv_bn_relu(self, x: str, cout: int, k: int = 3, stride: int = 1, group: int = 1) -> str:
        """Conv without bias, BatchNormalization, Relu."""
        return self.relu(self.conv_bn(x, cout, k, stride, group))

    def gemm(self, x: str, cout: int) -> str:
        """Gemm in the framework exporters' form: weight [Cout, Cin], transB."""
        return self.node("Gemm", [x, self.weight([cout, self.size(x)]), self.vector(cout)], transB=1)

    def matmul(self, x: str, cout: int, bias: bool = True) -> str:
        """MatMul over the last axis with a weight [Cin, Cout], then an Add."""
        cin = self.size(x, -1)
        y = self.node("MatMul", [x, self.weight([cin, cout], fan_in=cin)])
        return self.add(y, self.vector(cout)) if bias else y

    def layer_norm(self, x: str) -> str:
        """LayerNormalization over the last axis."""
        width = self.size(x, -1)
        scale = self.vector(width, 0.6, 1.4, "gamma")
        return self.node("LayerNormalization", [x, scale, self.vector(width)], axis=-1)

    def head(self, x: str, classes: int = 10) -> str:
        """Global average pool, Flatten, Gemm."""
        return self.gemm(self.flatten(self.gap(x)), classes)

    # --- layers without parameters -----------------------------------------------------------------------

    def relu(self, x: str) -> str:
        """Relu."""
        return self.node("Relu", [x])

    def relu6(self, x: str) -> str:
        """Clip to [0, 6]."""
        return self.node("Clip", [x, self.const(0.0, "low"), self.const(6.0, "high")])

    def sigmoid(self, x: str) -> str:
        """Sigmoid."""
        return self.node("Sigmoid", [x])

    def softmax(self, x: str, axis: int = -1) -> str:
        """Softmax."""
        return self.node("Softmax", [x], axis=axis)

    def gelu(self, x: str) -> str:
        """The exact Gelu, as exported: x/√2, Erf, +1, ·x, ·0.5."""
        erf = self.node("Erf", [self.node("Div", [x, self.const(float(np.sqrt(2.0)))])])
        return self.mul(self.mul(x, self.add(erf, self.const(1.0))), self.const(0.5))

    def add(self, a: str, b: str) -> str:
        """Add."""
        return self.node("Add", [a, b])

    def mul(self, a: str, b: str) -> str:
        """Mul."""
        return self.node("Mul", [a, b])

    def gap(self, x: str) -> str:
        """GlobalAveragePool."""
        return self.node("GlobalAveragePool", [x])

    def max_pool(self, x: str, k: int = 2) -> str:
        """MaxPool with stride k."""
        return self.node("MaxPool", [x], kernel_shape=[k, k], strides=[k, k])

    # --- data movement -----------------------------------------------------------------------------------

    def flatten(self, x: str) -> str:
        """Flatten from axis 1."""
        return self.node("Flatten", [x], axis=1)

    def reshape(self, x: str, *shape: int) -> str:
        """Reshape to a literal shape; a leading -1 is the batch, which inference forgets."""
        y = self.node("Reshape", [x, self.ints(*shape)])
        return self.declare(y, ["N", *self.shape(y)[1:]]) if shape[0] == -1 else y

    def transpose(self, x: str, *perm: int) -> str:
        """Transpose."""
        return self.node("Transpose", [x], perm=list(perm))

    def concat(self, *xs: str, axis: int = 1) -> str:
        """Concat."""
        return self.node("Concat", xs, axis=axis)

    def split(self, x: str, *sizes: int, axis: int = 1) -> list[str]:
        """Split into explicit sizes (input form, opset 13)."""
        return self.nodes("Split", [x, self.ints(*sizes)], len(sizes), axis=axis)

    def slice(self, x: str, start: int, end: int, axis: int = 1, step: int | None = None) -> str:
        """Slice one axis; without a step the node has no steps input."""
        bounds = [self.ints(start), self.ints(end), self.ints(axis)]
        return self.node("Slice", [x, *bounds] if step is None else [x, *bounds, self.ints(step)])

    def gather(self, x: str, indices: int | Sequence[int], axis: int = 0) -> str:
        """Gather; a single index drops the axis."""
        return self.node("Gather", [x, self.const(np.array(indices, np.int64), "indices")], axis=axis)

    def unsqueeze(self, x: str, *axes: int) -> str:
        """Unsqueeze (input form, opset 13)."""
        return self.node("Unsqueeze", [x, self.ints(*axes)])

    def squeeze(self, x: str, *axes: int) -> str:
        """Squeeze (input form, opset 13)."""
        return self.node("Squeeze", [x, self.ints(*axes)])

    def mean(self, x: str, *axes: int, keepdims: int = 1) -> str:
        """ReduceMean (attribute form, before opset 18)."""
        return self.node("ReduceMean", [x], axes=list(axes), keepdims=keepdims)

    def reduce_sum(self, x: str, *axes: int, keepdims: int = 1) -> str:
        """ReduceSum (input form, opset 13)."""
        return self.node("ReduceSum", [x, self.ints(*axes)], keepdims=keepdims)

    def shuffle(self, x: str, groups: int) -> str:
        """Channel shuffle of an NCHW tensor: Reshape, Transpose, Reshape."""
        channels, height, width = (self.size(x, axis) for axis in (1, 2, 3))
        split = self.reshape(x, -1, groups, channels // groups, height, width)
        return self.reshape(self.transpose(split, 0, 2, 1, 3, 4), -1, channels, height, width)
