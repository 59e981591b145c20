"""How much memory whole commands take, against the weights of a model that is large beside everything else."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

_BLOCKS, _WIDTH, _HIDDEN = 4, 4096, 1024
WEIGHTS = 4 * 2 * _BLOCKS * _WIDTH * _HIDDEN  # bytes: 128 MiB
BARE = 250 * 2**20  # of an interpreter with the libraries, and arrays of a single layer
_CHILD = """
import sys
from optimise_onnx.tools.cli import main

code = main(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(code)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Residual blocks of two products with a ReLU between them; weights beside the model."""
    nodes, weights, rng = [], [], np.random.default_rng(0)
    for place in range(_BLOCKS):
        for name, shape in (("a", (_WIDTH, _HIDDEN)), ("b", (_HIDDEN, _WIDTH))):
            array = rng.standard_normal(shape, dtype=np.float32) / np.float32(shape[0] ** 0.5)
            weights.append(numpy_helper.from_array(array, f"{name}{place}"))
        nodes += [
            helper.make_node("MatMul", [f"x{place}", f"a{place}"], [f"h{place}"]),
            helper.make_node("Relu", [f"h{place}"], [f"r{place}"]),
            helper.make_node("MatMul", [f"r{place}", f"b{place}"], [f"y{place}"]),
            helper.make_node("Add", [f"x{place}", f"y{place}"], [f"x{place + 1}"]),
        ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", _WIDTH]) for n in ("x0", f"x{_BLOCKS}")]
    graph = helper.make_graph(nodes, "peak", ends[:1], ends[1:], weights)
    path = tmp_path_factory.mktemp("peak") / "in.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, path, save_as_external_data=True, location="in.data")
    return path


def peak(*words: str) -> int:
    """Run a command and return the most bytes that it held."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, "-c", _CHILD, *words], env=environment, capture_output=True, check=True)
    return int(ended.stdout.split()[-1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not tell it so")
def test_analysis_holds_the_weights_once(model: Path) -> None:
    assert peak("analyse", str(model)) < 1.1 * WEIGHTS + BARE


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not tell it so")
def test_passes_do_not_copy_weights(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    passes = "fold-constants,select-channels{criterion=magnitude,keep=0.75},remove-channels"
    assert peak("run", str(model), "-o", str(out), "--passes", passes) < 2 * WEIGHTS + BARE
    assert 0.74 * WEIGHTS < out.stat().st_size < 0.76 * WEIGHTS
