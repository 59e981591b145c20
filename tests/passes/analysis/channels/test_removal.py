"""What else reads channels and weights, and choices that cannot be carried out."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from oracle import checked, graph_of, shapes
from zoo import ZOO
from zoo.builder import Builder

from optimise_onnx.ir.errors import PreconditionError
from optimise_onnx.passes.analysis.channels.groups import Group, analyse
from optimise_onnx.passes.analysis.channels.removal import keep_mask, remove


def test_a_weight_read_by_two_ties_its_readers() -> None:
    found = analyse(graph_of(ZOO["shared_conv_twice"]()))
    assert shapes(found) == {"conv_0_out": (1, 12)}


def sum_of_weight(b: Builder, x: str, weight: str) -> str:
    return b.node("ReduceSum", [weight, b.ints(0)], keepdims=0)


def shape_of_weight(b: Builder, x: str, weight: str) -> str:
    return b.node("Cast", [b.gather(b.node("Shape", [weight]), [1])], to=1)


def sum_of_its_twin(b: Builder, x: str, weight: str) -> str:
    return b.node("ReduceSum", [b.node("Identity", [weight]), b.ints(0)], keepdims=0)


@pytest.mark.parametrize("other", [sum_of_weight, shape_of_weight, sum_of_its_twin])
def test_a_weight_that_is_also_data_stays_whole(other: Callable[[Builder, str, str], str]) -> None:
    b = Builder("watched")
    x = b.input("x", ["N", 4])
    weight = b.weight([4, 6])
    y = b.relu(b.node("MatMul", [x, weight]))
    found = checked(b, b.gemm(y, 3), b.add(other(b, x, weight), b.gemm(x, 6)))
    assert not any(group.name == "matmul_0_out" for group in found.groups)


def test_a_kernel_that_another_branch_makes_keeps_that_branch() -> None:
    """A convolution's weight computed from channels: they are the weight's rows, and stay."""
    b = Builder("dynamic")
    x = b.input("x", [1, 3, 4, 4])
    maker = b.reshape(b.gemm(b.flatten(b.gap(x)), 24), 4, 6, 1, 1)
    h = b.node("Conv", [b.conv_relu(x, 6), maker])
    found = checked(b, b.head(b.conv(b.relu(h), 5), 3))
    assert shapes(found) == {"conv_2_out": (1, 5)}


def test_indices_that_carry_channels_stay() -> None:
    b = Builder("lookup")
    x = b.input("x", ["N", 3, 4, 4])
    index = b.node("ArgMax", [b.conv(x, 6)], axis=2, keepdims=0)
    h = b.node("Gather", [b.weight([4, 5]), index])
    found = checked(b, b.gemm(b.flatten(h), 3))
    assert shapes(found) == {"gather_0_out": (1, 5)}


def test_indices_of_a_pooling_count_all_channels() -> None:
    b = Builder("indices")
    h = b.conv(b.input("x", ["N", 3, 4, 4]), 6)
    pooled, index = b.nodes("MaxPool", [h], 2, kernel_shape=[2, 2])
    position = b.mul(b.node("Cast", [index], to=1), b.const(0.01))
    checked(b, b.head(b.add(b.conv(pooled, 4), b.conv(position, 4)), 3))


def test_a_gate_decides_which_axis_of_a_pixel_shuffle_shrinks() -> None:
    """Channels that a Reshape split in three axes meet a [N, C, 1, 1] gate: nothing need stay."""
    b = Builder("gated_shuffle")
    h = b.reshape(b.conv(b.input("x", ["N", 3, 2, 2]), 24), -1, 6, 2, 2, 2, 2)
    h = b.relu(b.reshape(b.transpose(h, 0, 1, 4, 2, 5, 3), -1, 6, 4, 4))
    h = b.mul(h, b.sigmoid(b.conv(b.gap(h), 6, 1)))
    found = checked(b, b.head(h, 3))
    assert shapes(found) == {"conv_0_out": (1, 6)}


@pytest.fixture
def grouped() -> onnx.ModelProto:
    b = Builder("grouped")
    h = b.conv_relu(b.input("x", ["N", 3, 4, 4]), 8)
    return b.model(b.head(b.relu(b.conv(h, 8, group=2)), 3))


def uneven(group: Group) -> np.ndarray:
    """Keep two of the first cell and all others."""
    return np.concatenate([group.cells[0][:2], *group.cells[1:]])


def nothing(group: Group) -> np.ndarray:
    return group.cells[0][:0]


def strangers(group: Group) -> np.ndarray:
    return np.array([10_000_000])


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("choice", [uneven, nothing, strangers])
def test_a_choice_that_cannot_be_carried_out_is_refused_and_changes_nothing(
    grouped: onnx.ModelProto, place: int, choice: Callable[[Group], np.ndarray]
) -> None:
    graph = graph_of(grouped)
    channels = analyse(graph)
    before = graph.to_model().SerializeToString(deterministic=True)
    group = channels.groups[place]
    with pytest.raises(PreconditionError):
        remove(graph, channels, {group.name: choice(group)})
    assert graph.to_model().SerializeToString(deterministic=True) == before


def test_an_unknown_group_is_refused(grouped: onnx.ModelProto) -> None:
    with pytest.raises(PreconditionError, match="no channel group is called 'nobody'"):
        keep_mask(analyse(graph_of(grouped)), {"nobody": np.array([1])})


def test_a_weight_that_is_also_an_output_stays_whole() -> None:
    b = Builder("shown")
    x, weight = b.input("x", ["N", 4]), b.weight([4, 6])
    h = b.relu(b.node("MatMul", [x, weight]))
    assert shapes(checked(b, b.gemm(b.gemm(h, 5), 3), weight)) == {"gemm_0_out": (1, 5)}
