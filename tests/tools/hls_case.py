"""A small network on its way to hardware: what the tests of ``hls`` share."""

from importlib.util import find_spec
from pathlib import Path
from shutil import which

import numpy as np
import onnx
import pytest
from zoo.builder import Builder

HLS = ("hls", "in.onnx", "--project", "made")
BITS = (*HLS, "--data", "data.npz", "--labels", "label", "--samples", "24", "--bits", "8")
FILES = ["data.npz", "in.onnx"]
needs_hls4ml = pytest.mark.skipif(find_spec("hls4ml") is None, reason="needs hls4ml")
needs_gcc = pytest.mark.skipif(which("g++") is None, reason="needs g++")


def model(width: int = 4, op: str = "Relu", mean: bool = True) -> onnx.ModelProto:
    """A convolution, a function, a pool, a dense layer and a softmax over 6 x 6 images."""
    b = Builder("tiny")
    x = b.max_pool(b.node(op, [b.conv(b.input("x", ["N", 2, 6, 6]), width)]))
    return b.model(b.softmax(b.head(x, 5) if mean else b.gemm(b.flatten(x), 5)))


@pytest.fixture
def place(folder: Path) -> Path:
    """The folder, with that model as ``in.onnx`` and 40 labelled samples."""
    onnx.save(model(), folder / "in.onnx")
    samples = np.random.default_rng(0).standard_normal((40, 2, 6, 6)).astype(np.float32)
    np.savez(folder / "data.npz", x=samples, label=np.arange(40) % 5)
    return folder
