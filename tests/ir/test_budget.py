"""What a run would take is told from shapes, before anything is run."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from optimise_onnx.ir.budget import check_budget, estimate
from optimise_onnx.ir.errors import BudgetError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.memory import memory_limit

FLOAT = TensorProto.FLOAT


def graph(*nodes: onnx.NodeProto, dims: tuple[int | str, ...] = ("N", 8), **arrays: np.ndarray) -> Graph:
    """Nodes from x to y."""
    x, y = helper.make_tensor_value_info("x", FLOAT, dims), helper.make_tensor_value_info("y", FLOAT, None)
    stored = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    made = helper.make_graph(list(nodes), "g", [x], [y], stored)
    return Graph.of(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def doubling(times: int) -> Graph:
    names = ["x", *(f"a{place}" for place in range(times - 1)), "y"]
    pairs = zip(names[:-1], names[1:], strict=True)
    return graph(*[helper.make_node("Concat", [a, a], [b], axis=1) for a, b in pairs])


def made_constant(*sizes: int) -> Graph:
    fill = numpy_helper.from_array(np.ones(1, np.float32))
    nodes = [helper.make_node("ConstantOfShape", ["n"], ["c"], value=fill), helper.make_node("Mul", ["x", "c"], ["y"])]
    return graph(*nodes, n=np.array(sizes))


def in_a_branch(*sizes: int) -> Graph:
    result = helper.make_tensor_value_info("r", FLOAT, None)
    branch = helper.make_graph([helper.make_node("Expand", ["x", "n"], ["r"])], "b", [], [result])
    node = helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)
    return graph(node, yes=np.array(True), n=np.array(sizes))


def test_the_most_that_is_live() -> None:
    chain = graph(helper.make_node("Concat", ["x", "x"], ["a"], axis=1), helper.make_node("Relu", ["a"], ["b"]),
                  helper.make_node("ReduceSum", ["b"], ["y"], keepdims=0))  # fmt: skip
    # Of two samples: x is 64 bytes; a and b are 128 each, and a is gone before the scalar y, live throughout.
    assert estimate(chain, 2).live == 64 + 4 + 128 + 128


def test_weights_made_constants_and_work() -> None:
    w = np.ones((8, 4), np.float32)
    needs = estimate(graph(helper.make_node("MatMul", ["x", "w"], ["y"]), w=w), 3)
    assert (needs.weights, needs.made, needs.work) == (128, 0, 3 * 8 * 4 + 50 * 3 * 4)
    assert estimate(made_constant(5, 8), 1).made == 5 * 8 * 4


def test_tensors_of_subgraphs_count() -> None:
    assert estimate(in_a_branch(1000, 8), 1).live >= 2 * 1000 * 8 * 4


def test_ordinary_models_pass() -> None:
    check_budget(doubling(5), 16)
    check_budget(made_constant(100, 8), 16)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (doubling(30), "a run of the model, batch 16, needs too much memory"),
        (doubling(60), "a run of the model, batch 16, needs too much memory"),
        (made_constant(10**9, 8), "constants that the model makes of others are too large"),
        (in_a_branch(10**9, 8), "a run of the model, batch 16, needs too much memory"),
        (
            graph(helper.make_node("Relu", ["x"], ["y"]), dims=("N", 10**10)),
            r"input 'x' \[16, 10000000000\] needs too much",
        ),
        (
            graph(helper.make_node("Relu", ["x"], ["y"]), dims=(10**9, 64)),
            r"input 'x' \[1000000000, 64\] needs too much",
        ),
        (graph(helper.make_node("Relu", ["x"], ["y"]), dims=("N", 2**62, 9, 9)), "input 'x' .* needs too much memory"),
    ],
)
def test_models_that_are_too_large(made: Graph, said: str) -> None:
    with memory_limit("4GiB"), pytest.raises(BudgetError, match=said):
        check_budget(made, 16)


def test_models_that_would_compute_for_days() -> None:
    steps = [helper.make_node("Expand", ["x", "n"], ["a"]), helper.make_node("Transpose", ["a"], ["b"], perm=[1, 0])]
    endless = graph(
        *steps, helper.make_node("MatMul", ["a", "b"], ["y"]), dims=(1, 30_000), n=np.array([30_000, 30_000])
    )
    with memory_limit("1000GB"), pytest.raises(BudgetError, match="takes too long"):
        check_budget(endless)
