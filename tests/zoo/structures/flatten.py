"""Items 1 and 2: blocks of H·W columns behind a Flatten, and of H·W rows before a Reshape to an image."""

from __future__ import annotations

import onnx

from ..builder import Builder


def flatten_channel_major() -> onnx.ModelProto:
    """Conv → MaxPool → Flatten → Gemm, H·W = 16: channel c is columns 16c to 16c+15."""
    b = Builder("flatten_channel_major")
    h = b.max_pool(b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12))
    hidden = b.relu(b.gemm(b.flatten(h), 20))
    return b.model(b.gemm(hidden, 5))


def flatten_nhwc() -> onnx.ModelProto:
    """Its NHWC twin, same shapes: channel c is every 12th column from c."""
    b = Builder("flatten_nhwc")
    h = b.max_pool(b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12))
    hidden = b.relu(b.gemm(b.reshape(b.transpose(h, 0, 2, 3, 1), -1, 192), 20))
    return b.model(b.gemm(hidden, 5))


def flatten_batch_norm() -> onnx.ModelProto:
    """Flatten → BatchNormalization over the columns → MatMul, so the BN's vectors are H·W blocks too."""
    b = Builder("flatten_batch_norm")
    h = b.max_pool(b.conv_relu(b.input("x", ["N", 3, 8, 8]), 8))
    return b.model(b.matmul(b.relu(b.bn(b.flatten(h))), 6))


def flatten_negative_axis() -> onnx.ModelProto:
    """Flatten with a negative axis, and a rectangular image (4x6 pixels left)."""
    b = Builder("flatten_negative_axis")
    h = b.max_pool(b.conv_relu(b.input("x", ["N", 2, 8, 12]), 8))
    return b.model(b.gemm(b.node("Flatten", [h], axis=-3), 6))


def flatten_into_rows() -> onnx.ModelProto:
    """Flatten(axis=2) merges channels into the batch: rows are images times channels, columns pixels."""
    b = Builder("flatten_into_rows")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12)
    rows = b.matmul(b.node("Flatten", [h], axis=2), 6)
    return b.model(b.gemm(b.reshape(rows, -1, 12 * 6), 5))


def generator_stem() -> onnx.ModelProto:
    """Gemm → Reshape[N,C,H,W] → ConvTranspose: only whole blocks of 16 Gemm rows may go."""
    b = Builder("generator_stem")
    stem = b.reshape(b.gemm(b.input("z", ["N", 10]), 16 * 4 * 4), -1, 16, 4, 4)
    h = b.relu(b.bn(b.conv_transpose(b.relu(stem), 12, k=4, pad=1)))
    return b.model(b.node("Tanh", [b.conv_transpose(h, 3, k=4, pad=1)]))


def generator_stem_nhwc() -> onnx.ModelProto:
    """MatMul → Reshape[N,H,W,C] → Transpose → ConvTranspose: a channel is every 16th unit."""
    b = Builder("generator_stem_nhwc")
    stem = b.reshape(b.matmul(b.input("z", ["N", 10]), 4 * 4 * 16), -1, 4, 4, 16)
    h = b.relu(b.conv_transpose(b.relu(b.transpose(stem, 0, 3, 1, 2)), 12, k=4, pad=1))
    return b.model(b.conv(h, 3))


def generator_batch_norm() -> onnx.ModelProto:
    """Gemm → BatchNormalization → Relu → Reshape → Conv: the BN's vectors go in blocks of H·W."""
    b = Builder("generator_batch_norm")
    stem = b.relu(b.bn(b.gemm(b.input("z", ["N", 10]), 8 * 4 * 4)))
    return b.model(b.conv(b.conv_relu(b.reshape(stem, -1, 8, 4, 4), 12), 3))
