"""Tensors of one number, made for as many samples as come."""

import numpy as np
import onnx
import pytest

from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.cleanup.constants import FoldConstants
from tests.oracle import graph_of
from tests.zoo import ZOO, feeds
from tests.zoo.builder import Builder

from .support import checked, ops


def filled(b: Builder, batch: str, *sizes: int, value: float = 0.3) -> str:
    """A tensor of one number, of as many samples as ``batch`` has."""
    first = b.gather(b.node("Shape", [batch]), [0])
    number = onnx.numpy_helper.from_array(np.array([value], np.float32))
    form = b.concat(first, b.ints(*sizes), axis=0)
    return b.declare(b.node("ConstantOfShape", [form], value=number), ["N", *sizes])


@pytest.mark.parametrize("name", ["cells_unrolled", "scan_unrolled"])
def test_states_that_start_from_zeros_keep_no_channels(name: str) -> None:
    model = ZOO[name]()
    result = checked(graph_of(model), FoldConstants(), feeds(model, 0))
    assert "ConstantOfShape" not in ops(result)
    assert [group.cells.shape for group in analyse(result).groups] in ([(1, 10)], [(1, 12)])


def test_beside_a_tensor_of_its_shape_it_is_a_number() -> None:
    b = Builder("beside")
    h = b.matmul(b.input("x", ["N", 4]), 6)
    model = b.model(b.add(h, filled(b, "x", 6)), b.mul(filled(b, "x", 6), h))
    result = checked(graph_of(model), FoldConstants(), feeds(model, 0))
    assert ops(result) == ["MatMul", "Add", "Add", "Mul"]


def test_beside_a_smaller_one_it_is_repeated() -> None:
    b = Builder("smaller")
    x = b.input("x", ["N", 4])
    model = b.model(b.add(filled(b, "x", 4), b.vector(4)), b.node("Identity", [x]))
    result = checked(graph_of(model), FoldConstants(), feeds(model, 0))
    assert "Expand" in ops(result)


def test_of_two_open_sizes_none_is_taken_for_the_other() -> None:
    b = Builder("two")
    x, y = b.input("x", ["N", 6]), b.input("y", ["K", 6])
    model = b.model(b.declare(b.add(x, filled(b, "y", 6)), ["M", 6]), b.node("Identity", [y]))
    result = checked(
        graph_of(model), FoldConstants(), {"x": np.ones((1, 6), np.float32), "y": np.ones((3, 6), np.float32)}
    )
    assert "Expand" in ops(result)  # one sample beside three gives three


def test_what_would_make_the_file_large_stays() -> None:
    b = Builder("large")
    x = b.input("x", ["N", 4])
    model = b.model(filled(b, "x", 64, 65), b.node("Identity", [x]))
    graph = graph_of(model)
    assert "ConstantOfShape" in ops(checked(graph, FoldConstants(), feeds(model, 0), changes=False))
