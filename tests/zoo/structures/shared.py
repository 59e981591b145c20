"""Item 14: one weight in several places; bodies of If and Loop."""

from __future__ import annotations

import numpy as np
import onnx

from ..builder import Builder


def shared_conv_weight() -> onnx.ModelProto:
    """A detection head: the same conv weight and bias on two pyramid levels."""
    b = Builder("shared_conv_weight")
    fine = b.conv_relu(b.input("x", ["N", 3, 16, 16]), 12)
    coarse = b.conv_relu(fine, 12, stride=2)
    tower, output = ([b.weight([width, 12, 3, 3]), b.vector(width)] for width in (12, 4))
    levels = [b.conv_with(b.relu(b.conv_with(level, tower)), output) for level in (fine, coarse)]
    return b.model(*levels)


def shared_conv_twice() -> onnx.ModelProto:
    """The same square conv applied twice in a row: its input and output channels are tied."""
    b = Builder("shared_conv_twice")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12)
    parameters = [b.weight([12, 12, 3, 3]), b.vector(12)]
    for _ in range(2):
        h = b.relu(b.conv_with(h, parameters))
    return b.model(b.head(h, 5))


def shared_bias_only() -> onnx.ModelProto:
    """Two convs with their own weights and one bias, of which each may keep its own part."""
    b = Builder("shared_bias_only")
    x, bias = b.input("x", ["N", 3, 8, 8]), b.vector(12)
    left, right = (b.relu(b.conv_with(x, [b.weight([12, 3, 3, 3]), bias])) for _ in range(2))
    return b.model(b.head(b.concat(b.conv_relu(left, 8), b.conv_relu(right, 8)), 5))


def shared_batch_norm() -> onnx.ModelProto:
    """Two convs followed by BatchNormalizations of the same four vectors."""
    b = Builder("shared_batch_norm")
    x = b.input("x", ["N", 3, 8, 8])
    parameters = b.bn_parameters(12)
    left, right = (b.node("BatchNormalization", [b.conv(x, 12), *parameters]) for _ in range(2))
    return b.model(b.head(b.concat(b.conv_relu(left, 8), b.conv_relu(b.relu(right), 8)), 5))


def siamese() -> onnx.ModelProto:
    """Two images through one set of weights, then the absolute difference."""
    b = Builder("siamese")
    first = [b.weight([12, 3, 3, 3]), b.vector(12)]
    second = [b.weight([16, 12, 3, 3]), b.vector(16)]
    branches = []
    for name in ("left", "right"):
        h = b.relu(b.conv_with(b.input(name, ["N", 3, 8, 8]), first))
        branches.append(b.flatten(b.gap(b.relu(b.conv_with(h, second)))))
    return b.model(b.gemm(b.node("Abs", [b.node("Sub", branches)]), 5))


def tied_embedding() -> onnx.ModelProto:
    """A token table read by Gather and, transposed by a node, as the output MatMul."""
    b = Builder("tied_embedding")
    table = b.weight([20, 24], fan_in=4)
    h = b.node("Gather", [table, b.input("tokens", ["N", 6], np.int64)], axis=0)
    h = b.add(h, b.matmul(b.relu(b.matmul(h, 32)), 24))
    return b.model(b.node("MatMul", [h, b.transpose(table, 1, 0)]))


def tied_autoencoder() -> onnx.ModelProto:
    """One matrix as producer (Gemm) and consumer (Gemm transB): encoder and decoder."""
    b = Builder("tied_autoencoder")
    weight = b.weight([12, 20], fan_in=12)
    code = b.relu(b.node("Gemm", [b.input("x", ["N", 12]), weight, b.vector(20)]))
    return b.model(b.node("Gemm", [code, weight, b.vector(12)], transB=1))


def embedding() -> onnx.ModelProto:
    """A token table whose columns are an ordinary prunable axis; mean over tokens, then Gemm."""
    b = Builder("embedding")
    h = b.node("Gather", [b.weight([20, 24], fan_in=4), b.input("tokens", ["N", 6], np.int64)], axis=0)
    return b.model(b.gemm(b.relu(b.gemm(b.mean(h, 1, keepdims=0), 16)), 5))


def if_branches() -> onnx.ModelProto:
    """Both bodies read the outer features by name: one convolves them, one scales them."""
    b = Builder("if_branches")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12)
    then_body, else_body = Builder("then_body", prefix="then_"), Builder("else_body", prefix="else_")
    for body in (then_body, else_body):
        body.declare(h, b.shape(h))
    then_graph = then_body.graph(then_body.conv_relu(h, 12))
    else_graph = else_body.graph(else_body.mul(h, else_body.const(0.5)))
    y = b.node("If", [b.input("flag", [], np.bool_)], then_branch=then_graph, else_branch=else_graph)
    return b.model(b.head(b.conv_relu(y, 16), 5), h)


def loop_body() -> onnx.ModelProto:
    """Three turns of h = relu(conv(h)): the body's conv reads a weight of the outer graph."""
    b = Builder("loop_body")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12)
    parameters = [b.weight([12, 12, 3, 3]), b.vector(12)]
    body = Builder("body", prefix="body_")
    body.input("turn", [], np.int64)
    go, state = body.input("go", [], np.bool_), body.input("state", ["N", 12, 8, 8])
    for name in parameters:
        body.declare(name, b.shape(name))
    turned = body.relu(body.conv_with(state, parameters))
    graph = body.graph(body.node("Identity", [go]), turned)
    y = b.node("Loop", [b.const(np.int64(3)), b.const(np.bool_(True)), h], body=graph)
    return b.model(b.head(b.conv_relu(b.declare(y, ["N", 12, 8, 8]), 16), 5))
