"""Each backend, way of input and output, and strategy with each kind of layer: all bits equal, or refused by name."""

from collections.abc import Callable
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest
from zoo.builder import Builder

from optimise_onnx.backends.hls.cost.settings import Strategy
from optimise_onnx.backends.hls.style import Backend, IoType

from .conftest import Run
from .hls_case import needs_gcc, needs_hls4ml

pytestmark = [
    pytest.mark.hls,
    needs_hls4ml,
    needs_gcc,
    pytest.mark.skipif(find_spec("da4ml") is None, reason="needs da4ml"),
]


def gate(b: Builder, x: str) -> str:
    """A product of two streams, and a map of four times the pixels."""
    x = b.relu(b.conv(x, 2))
    y = b.declare(b.node("HardSwish", [x]), ["N", 2, 4, 4])
    return b.conv(b.conv_transpose(y, 2), 2, 1)


KINDS: dict[str, Callable[[Builder, str], str]] = {
    "dense": lambda b, x: b.gemm(b.relu(b.gemm(b.flatten(x), 6)), 3),
    "convolution": lambda b, x: b.conv(b.conv_relu(x, 3), 2, 1),
    "depthwise": lambda b, x: b.conv(b.relu(b.depthwise(x)), 3, 1),
    "max pooling": lambda b, x: b.max_pool(b.conv_relu(x, 3)),
    "mean": lambda b, x: b.gemm(b.flatten(b.node("GlobalAveragePool", [b.conv_relu(x, 3)])), 3),
    "gate": gate,
    "residual": lambda b, x: b.relu(b.add(b.conv(b.conv_relu(x, 2), 2), x)),
}

REFUSED = ("choose Vitis or Vivado", "choose io_parallel")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("backend", "io_type", "strategy"), [*product(get_args(Backend), get_args(IoType), get_args(Strategy))]
)
def test_all_bits_or_a_refusal(
    folder: Path, run: Callable[..., Run], backend: str, io_type: str, strategy: str, kind: str
) -> None:
    b = Builder(kind)
    onnx.save(b.model(KINDS[kind](b, b.input("x", ["N", 2, 4, 4]))), folder / "in.onnx")
    np.savez(folder / "data.npz", x=np.random.default_rng(0).standard_normal((24, 2, 4, 4)).astype(np.float32))
    words = ("hls", "in.onnx", "--project", "made", "--data", "data.npz", "--bits", "6", "--backend", backend)
    shared = ("--reuse", "4") if strategy == "resource" else ()
    found = run(*words, "--io-type", io_type, "--strategy", strategy, *shared)
    if found.code == 0:
        assert "0 LSB: all bits equal" in found.out
    else:
        assert found.code in (2, 6) and any(hint in found.error for hint in REFUSED), found.err
