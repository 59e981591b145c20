"""Loops that do not end, and the option that bounds memory: one line, code 3, nothing written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from optimise_onnx.tools import sizing

from .conftest import Run


def looping(trips: int, condition: str) -> onnx.ModelProto:
    """Tanh over and over on a vector, in a Loop of as many trips; ``condition`` names what may end it."""
    nodes = [helper.make_node("Identity", ["c_in"], ["c_out"]), helper.make_node("Tanh", ["v_in"], ["v_out"])]
    declared = [("i", TensorProto.INT64, []), ("c_in", TensorProto.BOOL, []), ("v_in", TensorProto.FLOAT, None)]
    results = [("c_out", TensorProto.BOOL, []), ("v_out", TensorProto.FLOAT, None)]
    ends = [[helper.make_tensor_value_info(*value) for value in part] for part in (declared, results)]
    loop = helper.make_node("Loop", ["trips", condition, "x"], ["y"], body=helper.make_graph(nodes, "b", *ends))
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in "xy")
    stored = [numpy_helper.from_array(np.array(v), n) for n, v in (("trips", trips), ("yes", True))]
    return helper.make_model(
        helper.make_graph([loop], "g", [x], [y], stored), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )


@pytest.mark.parametrize("condition", ["yes", ""])
@pytest.mark.parametrize(
    "command", [("analyse", "in.onnx"), ("run", "in.onnx", "-o", "o.onnx", "--passes", "fold-constants")]
)
def test_a_loop_that_does_not_end(
    condition: str, command: tuple[str, ...], folder: Path, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizing, "_SECONDS", 0.3)
    onnx.save(looping(10**12, condition), folder / "in.onnx")
    found = run(*command)
    assert (found.code, found.out) == (3, "")
    assert found.error == "a run of the model does not end: it was ended after 0.3 s"
    assert not (folder / "o.onnx").exists()


def test_a_loop_that_ends(folder: Path, run: Callable[..., Run]) -> None:
    onnx.save(looping(3, "yes"), folder / "in.onnx")
    assert run("analyse", "in.onnx").code == 0


def test_the_limit_of_memory(run: Callable[..., Run]) -> None:
    found = run("analyse", "in.onnx", "--memory-limit", "20kB")
    assert (found.code, found.out) == (3, "")
    assert "needs too much memory" in found.error and "the limit is 20 kB" in found.error
    assert run("analyse", "in.onnx", "--memory-limit", "2GiB").code == 0
    assert run("analyse", "in.onnx", "--memory-limit", "lots").code == 2
