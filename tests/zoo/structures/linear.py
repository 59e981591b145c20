"""Extras: every way to write a matrix product, and BatchNormalization as Mul and Add."""

from __future__ import annotations

import numpy as np
import onnx

from ..builder import Builder


def _hidden(b: Builder, width: int = 20) -> str:
    return b.relu(b.gemm(b.input("x", ["N", 12]), width))


def gemm_trans_b() -> onnx.ModelProto:
    """Weight [Cout, Cin] with transB."""
    b = Builder("gemm_trans_b")
    return b.model(b.gemm(_hidden(b), 5))


def gemm_plain() -> onnx.ModelProto:
    """Weight [Cin, Cout], no transposes, no bias in the last one."""
    b = Builder("gemm_plain")
    h = b.input("x", ["N", 12])
    h = b.relu(b.node("Gemm", [h, b.weight([12, 20], 12), b.vector(20)]))
    return b.model(b.node("Gemm", [h, b.weight([20, 5], 20)]))


def gemm_scaled() -> onnx.ModelProto:
    """alpha and beta other than 1; biases [1, Cout] and scalar."""
    b = Builder("gemm_scaled")
    h, bias = b.input("x", ["N", 12]), b.const(b.uniform([1, 20], -0.5, 0.5), "bias")
    h = b.relu(b.node("Gemm", [h, b.weight([20, 12]), bias], alpha=0.5, beta=2.0, transB=1))
    return b.model(b.node("Gemm", [h, b.weight([5, 20]), b.const(0.3)], alpha=1.5, beta=0.5, transB=1))


def gemm_trans_a() -> onnx.ModelProto:
    """transA: features are rows of the left operand."""
    b = Builder("gemm_trans_a")
    columns = b.transpose(_hidden(b), 1, 0)
    return b.model(b.node("Gemm", [columns, b.weight([20, 5], 20), b.vector(5)], transA=1))


def gemm_trans_both() -> onnx.ModelProto:
    """transA and transB."""
    b = Builder("gemm_trans_both")
    columns = b.transpose(_hidden(b), 1, 0)
    return b.model(b.node("Gemm", [columns, b.weight([5, 20]), b.vector(5)], transA=1, transB=1))


def gemm_constant_left() -> onnx.ModelProto:
    """The weight is the left operand, [Cout, Cin] then [Cin, Cout] with transA; biases are columns."""
    b = Builder("gemm_constant_left")
    columns = b.transpose(b.input("x", ["N", 12]), 1, 0)
    bias = b.const(b.uniform([20, 1], -0.3, 0.3), "bias")
    h = b.relu(b.node("Gemm", [b.weight([20, 12]), columns, bias]))
    bias = b.const(b.uniform([5, 1], -0.3, 0.3), "bias")
    return b.model(b.transpose(b.node("Gemm", [b.weight([20, 5], 20), h, bias], transA=1), 1, 0))


def gemm_constant_left_trans_b() -> onnx.ModelProto:
    """The weight is the left operand and the features are transposed by transB."""
    b = Builder("gemm_constant_left_trans_b")
    h = b.node("Gemm", [b.weight([5, 20]), _hidden(b)], transB=1)
    return b.model(b.transpose(h, 1, 0))


def matmul_constant_left() -> onnx.ModelProto:
    """MLP-Mixer: constant-left MatMuls mix the patches (a prunable axis in between), then the channels."""
    b = Builder("matmul_constant_left")
    h = b.relu(b.conv(b.input("x", ["N", 3, 16]), 12))
    rows = b.transpose(h, 0, 2, 1)
    mixed = b.node("MatMul", [b.weight([24, 16]), rows])
    mixed = b.add(mixed, b.const(b.uniform([24, 1], -0.3, 0.3), "bias"))
    rows = b.add(rows, b.node("MatMul", [b.weight([16, 24]), b.relu(mixed)]))
    return b.model(b.matmul(b.relu(b.matmul(rows, 20)), 5))


def matmul_batched() -> onnx.ModelProto:
    """A weight of rank 3 (mixture of experts): [1, Cin, Cout] by broadcasting, then [4, Cin, Cout] per expert."""
    b = Builder("matmul_batched")
    h = b.input("x", ["N", 4, 6, 10])
    h = b.relu(b.node("MatMul", [h, b.weight([1, 10, 16], 10)]))
    h = b.relu(b.node("MatMul", [h, b.weight([4, 16, 12], 16)]))
    return b.model(b.matmul(h, 5))


def matmul_vector() -> onnx.ModelProto:
    """MatMul by a vector: the contracted axis leaves no output channel."""
    b = Builder("matmul_vector")
    h = b.matmul(b.input("x", ["N", 6, 10]), 16)
    return b.model(b.node("MatMul", [b.relu(h), b.const(b.uniform([16], -0.5, 0.5), "weight")]))


def matmul_of_activations() -> onnx.ModelProto:
    """Bilinear pooling: features times features transposed, both axes of the product are channels."""
    b = Builder("matmul_of_activations")
    x = b.input("x", ["N", 3, 8, 8])
    left, right = (b.reshape(b.conv_relu(x, width), -1, width, 64) for width in (8, 6))
    product = b.node("MatMul", [left, b.transpose(right, 0, 2, 1)])
    return b.model(b.gemm(b.flatten(b.mul(product, b.const(1 / 64))), 5))


def einsum_linear() -> onnx.ModelProto:
    """Linear layers as Einsums, weight second and weight first."""
    b = Builder("einsum_linear")
    h = b.node("Einsum", [b.input("x", ["N", 6, 10]), b.weight([20, 10])], equation="bsi,oi->bso")
    h = b.relu(b.add(h, b.vector(20)))
    return b.model(b.node("Einsum", [b.weight([20, 5], 20), h], equation="io,bsi->bos"))


def einsum_convolution() -> onnx.ModelProto:
    """A 1x1 conv as an Einsum over NCHW, then an inner product of two feature maps over C."""
    b = Builder("einsum_convolution")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12)
    y = b.node("Einsum", [h, b.weight([12, 12])], equation="nchw,oc->nohw")
    dot = b.node("Einsum", [h, b.relu(y)], equation="nchw,nchw->nhw")
    return b.model(b.gemm(b.flatten(dot), 5), b.head(y, 4))


def bn_as_mul_add_matmul() -> onnx.ModelProto:
    """TensorFlow: BatchNormalization after a MatMul became Mul and Add of [C] constants."""
    b = Builder("bn_as_mul_add_matmul")
    h = b.matmul(b.input("x", ["N", 12]), 20, bias=False)
    h = b.relu(b.add(b.mul(h, b.vector(20, 0.6, 1.4, "scale")), b.vector(20)))
    return b.model(b.matmul(h, 5))


def bn_as_mul_add_conv() -> onnx.ModelProto:
    """TensorFlow: after a Conv, Mul of [C,1,1] and Add of [1,C,1,1]."""
    b = Builder("bn_as_mul_add_conv")
    h = b.conv(b.input("x", ["N", 3, 8, 8]), 12, bias=False)
    scale = b.const(b.uniform([12, 1, 1], 0.6, 1.4), "scale")
    shift = b.const(b.uniform([1, 12, 1, 1], -0.3, 0.3), "shift")
    return b.model(b.head(b.conv_relu(b.relu(b.add(b.mul(h, scale), shift)), 16), 5))


def residual_gemm() -> onnx.ModelProto:
    """A residual MLP: three Gemms write to one stream of 20."""
    b = Builder("residual_gemm")
    h = _hidden(b)
    for width in (16, 24):
        h = b.add(h, b.gemm(b.relu(b.gemm(h, width)), 20))
    return b.model(b.gemm(h, 5))


def constant_branch() -> onnx.ModelProto:
    """A constant query (DETR) goes through its own Gemm and is added to the features of every image."""
    b = Builder("constant_branch")
    query = b.const(b.uniform([1, 8], -1, 1).astype(np.float32), "query")
    return b.model(b.gemm(b.relu(b.add(_hidden(b), b.gemm(query, 20))), 5))
