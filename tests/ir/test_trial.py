"""What a library does without bounds is tried in a process that may end in our stead."""

import os
import time

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from optimise_onnx.frontends.load import load
from optimise_onnx.ir import inference
from optimise_onnx.ir.errors import BudgetError
from optimise_onnx.ir.trial import bearable

MEMORY = 2**28


def test_work_that_ends() -> None:
    assert bearable(lambda: None, 5, MEMORY)


def test_an_error_of_the_work_is_no_matter() -> None:
    assert bearable(lambda: 1 // 0, 5, MEMORY)


def test_work_that_takes_too_long() -> None:
    start = time.monotonic()
    assert not bearable(lambda: time.sleep(20), 0.2, MEMORY)
    assert time.monotonic() - start < 10


def test_work_that_takes_too_much_memory() -> None:
    assert not bearable(lambda: np.zeros(10**9), 5, MEMORY)


def test_a_process_that_dies() -> None:
    assert not bearable(lambda: os.kill(os.getpid(), 9), 5, MEMORY)


def test_shapes_that_would_be_counted_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "_MEMORY", MEMORY)
    numbers = {"start": 0, "stop": 10**9, "step": 1}
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in "xy")
    nodes = [
        helper.make_node("Range", list(numbers), ["r"]),
        helper.make_node("Cast", ["r"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["f"], ["s"]),
        helper.make_node("Add", ["x", "s"], ["y"]),
    ]
    stored = [numpy_helper.from_array(np.array(value), name) for name, value in numbers.items()]
    graph = helper.make_graph(nodes, "g", [x], [y], stored)
    with pytest.raises(BudgetError, match="shapes of the model cannot be inferred"):
        load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
