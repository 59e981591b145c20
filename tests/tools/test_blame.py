"""A failure is the model's where the model does not run, and ours where it does."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import CalibrationError, InvalidModelError, PassError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.tools.blame import blamed


def gather(index: int) -> Graph:
    """y = x[:, index] of x (N, 4)."""
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in (("x", ["N", 4]), ("y", ["N"]))
    )
    node = helper.make_node("Gather", ["x", "i"], ["y"], axis=1)
    graph = helper.make_graph([node], "g", [x], [y], [numpy_helper.from_array(np.array(index), "i")])
    return Graph.of(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


@pytest.mark.parametrize("error", [IndexError("far"), PassError("broken")])
def test_the_model_is_to_blame_where_it_does_not_run(error: Exception) -> None:
    with (
        pytest.raises(InvalidModelError, match="does not run: .*out of data bounds") as caught,
        blamed(gather(10**12), OrtRunner()),
    ):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [IndexError("far"), PassError("broken"), CalibrationError("bad")])
def test_else_the_failure_stays(error: Exception) -> None:
    with pytest.raises(type(error)), blamed(gather(0), OrtRunner()):
        raise error


def test_what_is_no_bug_is_not_looked_into() -> None:
    with pytest.raises(CalibrationError), blamed(gather(10**12), OrtRunner()):
        raise CalibrationError("bad")


def test_a_graph_of_ours_that_does_not_load_is_our_bug() -> None:
    broken = gather(0)
    broken.node(broken.nodes[0].name).set_attribute("axis", 7)
    with pytest.raises(PassError, match="a rewritten graph is refused") as caught, blamed(gather(0), OrtRunner()):
        OrtRunner().session(broken)
    assert caught.value.exit_code == 1
    with pytest.raises(InvalidModelError, match="does not load"), blamed(broken, OrtRunner()):
        OrtRunner().session(broken)
