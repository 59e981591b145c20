"""JAX: a function, in memory and from a script, to a smaller model."""

from pathlib import Path
from typing import Any

import pytest

from optimise_onnx import compress
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.errors import InvalidModelError

jax = pytest.importorskip("jax", reason="JAX is not installed")
pytest.importorskip("jax2onnx", reason="jax2onnx is not installed")

SCRIPT = """
import jax.numpy as jnp
import numpy as np

first, second = (np.random.default_rng(0).normal(size=shape).astype(np.float32) for shape in ((8, 32), (32, 4)))


def network(x):
    return jnp.maximum(x @ first, 0) @ second


def example():
    return network, np.zeros((1, 8), np.float32)
"""


def test_a_function_becomes_smaller(tmp_path: Path) -> None:
    script = tmp_path / "network.py"
    script.write_text(SCRIPT)
    result = compress(f"{script}:example", target="params=0.7x", guard=False)
    assert result.report.after.parameters <= 0.7 * result.report.before.parameters
    assert result.model.graph.input[0].type.tensor_type.shape.dim[0].dim_param


def test_an_example_is_asked_for() -> None:
    def double(x: Any) -> Any:
        return x * 2

    with pytest.raises(InvalidModelError, match="example_inputs"):
        load(double)
