"""Feed-forward networks: chains, and two branches that merge."""

from __future__ import annotations

import onnx

from ..builder import Builder


def mlp() -> onnx.ModelProto:
    """Gemm → Relu chain."""
    b = Builder("mlp")
    h = b.input("x", ["N", 12])
    for width in (64, 64, 64, 48):
        h = b.relu(b.gemm(h, width))
    return b.model(b.gemm(h, 10))


def vgg_gap() -> onnx.ModelProto:
    """Conv-BN-Relu stages between MaxPools; global average pool before the head."""
    b = Builder("vgg_gap")
    h = b.input("x", ["N", 3, 32, 32])
    for width in (16, 32, 48):
        h = b.max_pool(b.conv_bn_relu(b.conv_bn_relu(h, width), width))
    return b.model(b.head(b.conv_bn_relu(h, 64)))


def vgg_flatten() -> onnx.ModelProto:
    """Conv → MaxPool → Flatten with 4x4 pixels left → Gemm: each channel is a block of 16 columns."""
    b = Builder("vgg_flatten")
    h = b.input("x", ["N", 3, 32, 32])
    for width in (16, 24, 32):
        h = b.max_pool(b.conv_relu(h, width))
    hidden = b.relu(b.gemm(b.flatten(h), 64))
    return b.model(b.gemm(hidden, 10))


def two_inputs() -> onnx.ModelProto:
    """An image and a vector, each with its own branch; merged by Concat and again by Add."""
    b = Builder("two_inputs")
    image = b.conv_bn_relu(b.input("image", ["N", 3, 16, 16]), 24)
    image = b.conv_bn_relu(b.max_pool(b.conv_bn_relu(image, 48)), 64)
    pooled = b.flatten(b.gap(image))
    vector = b.relu(b.gemm(b.input("vector", ["N", 8]), 48))
    vector = b.relu(b.gemm(vector, 48))
    joined = b.relu(b.gemm(b.concat(pooled, vector), 64))
    merged = b.relu(b.add(joined, b.gemm(vector, 64)))
    return b.model(b.gemm(merged, 10))


def nhwc_tf() -> onnx.ModelProto:
    """As converted from TensorFlow: NHWC input, Transposes around convs, NHWC Reshape, MatMul + Add head."""
    b = Builder("nhwc_tf")
    h = b.transpose(b.input("x", ["N", 16, 16, 3]), 0, 3, 1, 2)
    h = b.max_pool(b.conv_bn_relu(h, 24))
    h = b.max_pool(b.conv_bn_relu(b.conv_relu(h, 32), 48))
    flat = b.reshape(b.transpose(h, 0, 2, 3, 1), -1, 4 * 4 * 48)
    hidden = b.relu(b.matmul(flat, 64))
    return b.model(b.softmax(b.matmul(hidden, 10)))
