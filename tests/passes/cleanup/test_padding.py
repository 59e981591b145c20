"""Zero padding goes into convolutions, exactly, and only where nothing else reads it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracle import distance, graph_of
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.padding import FoldPadding


def padded(b: Builder, amounts: list[int], value: float = 0.0, mode: str = "constant") -> str:
    x = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 4)
    return b.node("Pad", [x, b.const(np.array(amounts, np.int64)), b.const(np.float32(value))], mode=mode)


def plain(b: Builder) -> str:
    return b.conv(padded(b, [0, 0, 1, 0, 0, 0, 2, 3]), 5, stride=2, pad=0)


def added_to_its_own(b: Builder) -> str:
    return b.conv(padded(b, [0, 0, 1, 1, 0, 0, 1, 1]), 5, pad=1)


def depthwise(b: Builder) -> str:
    return b.depthwise(padded(b, [0, 0, 2, 1, 0, 0, 1, 2]))


def two_readers(b: Builder) -> str:
    x = padded(b, [0, 0, 1, 1, 0, 0, 1, 1])
    return b.add(b.conv(x, 5), b.conv(x, 5))


def other_value(b: Builder) -> str:
    return b.conv(padded(b, [0, 0, 1, 1, 0, 0, 1, 1], 0.5), 5)


def mirrored(b: Builder) -> str:
    return b.conv(padded(b, [0, 0, 1, 1, 0, 0, 1, 1], mode="reflect"), 5)


def channels(b: Builder) -> str:
    return b.conv(padded(b, [0, 1, 1, 1, 0, 0, 1, 1]), 5)


def cropping(b: Builder) -> str:
    return b.conv(padded(b, [0, 0, -1, 1, 0, 0, 1, 1]), 5)


def other_operator(b: Builder) -> str:
    x = padded(b, [0, 0, 1, 1, 0, 0, 1, 1])
    return b.add(b.conv(x, 4), x)


def folded(build: Callable[[Builder], str]) -> tuple[Any, int]:
    b = Builder(build.__name__)
    model = b.model(build(b))
    graph, before = graph_of(model), graph_of(model)
    FoldPadding().run(graph, Context(OrtRunner(1), graph))
    assert distance(before, graph, feeds(model, 0)) < 1e-6
    return graph, sum(node.op == "Pad" for node in graph.nodes)


@pytest.mark.parametrize("build", [plain, added_to_its_own, depthwise, two_readers])
def test_zeros_are_folded(build: Callable[[Builder], str]) -> None:
    assert folded(build)[1] == 0


@pytest.mark.parametrize("build", [other_value, mirrored, channels, cropping, other_operator])
def test_anything_else_stays(build: Callable[[Builder], str]) -> None:
    assert folded(build)[1] == 1
