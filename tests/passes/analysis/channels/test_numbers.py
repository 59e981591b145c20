"""Numbers that a model reads from shapes while it runs: only those about channels keep channels."""

import numpy as np
import pytest
from onnx import numpy_helper
from oracle import analyse, checked, graph_of
from zoo.builder import Builder

from optimise_onnx.passes.analysis.channels.groups import Channels

SIDES = ["N", 3, "H", "W"]
BATCH = ["N", 3, 16, 16]


def ints(b: Builder, *values: int) -> str:
    return b.const(np.array(values, np.int64), "ints")


def layer(b: Builder, x: str, inputs: int, width: int, stride: int = 1, pad: int = 1) -> str:
    return b.relu(b.conv_with(x, [b.weight([width, inputs, 3, 3]), b.vector(width)], stride, pad))


def part(b: Builder, x: str, start: int, end: int) -> str:
    """Some dimensions of a tensor, read at run time."""
    return b.node("Slice", [b.node("Shape", [x]), ints(b, start), ints(b, end), ints(b, 0)])


def resized(b: Builder, x: str, like: str, counted: str = "") -> str:
    sizes = b.node("Concat", [part(b, counted or x, 0, 2), part(b, like, 2, 4)], axis=0)
    return b.node("Resize", [x, "", "", sizes], mode="nearest")


def all_free(found: Channels) -> bool:
    return {pin.why for _, pin in found.pins} <= {f"'{t.name}' is an output of the model" for t in outputs(found)}


def outputs(found: Channels) -> list:
    return found.context.graph.outputs


@pytest.mark.parametrize("shape", [SIDES, BATCH])
def test_a_resize_to_the_size_of_another_is_free(shape: list) -> None:
    b = Builder("to_skip")
    fine = b.conv_relu(b.input("x", shape), 8, stride=2)
    coarse = b.conv_relu(fine, 12, stride=2)
    joined = b.concat(resized(b, coarse, fine), fine)
    found = checked(b, layer(b, layer(b, joined, 20, 6), 6, 2))
    assert all_free(found)
    assert [group.width for group in found.groups] == [8, 12, 6]


@pytest.mark.parametrize("shape", [SIDES, BATCH])
def test_sizes_with_the_channels_of_another_tensor_are_put_right(shape: list) -> None:
    b = Builder("from_another")
    fine = b.conv_relu(b.input("x", shape), 8, stride=2)
    coarse = b.conv_relu(fine, 8, stride=2)
    joined = b.concat(resized(b, coarse, fine, counted=fine), fine)
    found = checked(b, layer(b, layer(b, joined, 16, 6), 6, 2))
    assert all_free(found)
    assert len(found.groups) == 3


def test_stored_channels_beside_computed_sides_are_rewritten() -> None:
    b = Builder("stored_count")
    fine = b.conv_relu(b.input("x", SIDES), 8, stride=2)
    coarse = b.conv_relu(fine, 12, stride=2)
    sizes = b.node("Concat", [part(b, coarse, 0, 1), ints(b, 12), part(b, fine, 2, 4)], axis=0)
    up = b.node("Resize", [coarse, "", "", sizes], mode="nearest")
    assert all_free(checked(b, layer(b, b.concat(up, fine), 20, 2)))


def test_a_crop_to_the_size_of_another_is_free() -> None:
    b = Builder("crop")
    x = b.input("x", SIDES)
    wide, small = b.conv_relu(x, 8), layer(b, x, 3, 6, pad=0)
    cut = b.node("Slice", [wide, ints(b, 0, 0), part(b, small, 2, 4), ints(b, 2, 3)])
    assert all_free(checked(b, layer(b, b.concat(cut, small), 14, 2)))


def test_a_crop_by_whole_shapes_is_free() -> None:
    """Ends are a whole shape: the count of the channels is that of the very tensor that is cut."""
    b = Builder("crop_whole")
    x = b.input("x", SIDES)
    wide, small = b.conv_relu(x, 8), layer(b, x, 3, 6, pad=0)
    ends = b.node("Concat", [part(b, wide, 0, 2), part(b, small, 2, 4)], axis=0)
    cut = b.node("Slice", [wide, ints(b, 0, 0, 0, 0), ends])
    assert all_free(checked(b, layer(b, b.concat(cut, small), 14, 2)))


def test_a_crop_to_the_channels_of_another_is_kept() -> None:
    b = Builder("crop_channels")
    x = b.input("x", SIDES)
    wide, small = b.conv_relu(x, 8), b.conv_relu(x, 6)
    cut = b.node("Slice", [wide, ints(b, 0, 0), part(b, small, 1, 3), ints(b, 1, 2)])
    found = checked(b, layer(b, b.concat(cut, small), 12, 2))
    assert {pin.op for _, pin in found.pins} == {"Slice", "Relu"}


def test_padding_to_the_size_of_another_is_free() -> None:
    """As torch writes it: amounts from the last axis, turned round and spread to all axes."""
    b = Builder("pad")
    x = b.input("x", SIDES)
    wide, small = b.conv_relu(x, 8), layer(b, x, 3, 6, pad=0)
    more = b.node("Sub", [part(b, wide, 2, 4), part(b, small, 2, 4)])
    high, wide_by = b.split(more, 1, 1, axis=0)
    none = b.node("ConstantOfShape", [ints(b, 4)], value=numpy_helper.from_array(np.zeros(1, np.int64)))
    backwards = b.node("Concat", [ints(b, 0), wide_by, ints(b, 0), high, none], axis=0)
    pairs = b.node("Reshape", [backwards, ints(b, -1, 2)])
    turned = b.node("Slice", [pairs, ints(b, -1), ints(b, -9999), ints(b, 0), ints(b, -1)])
    amounts = b.node("Reshape", [b.transpose(turned, 1, 0), ints(b, -1)])
    assert all_free(checked(b, layer(b, b.concat(b.node("Pad", [small, amounts]), wide), 14, 2)))


def test_a_channel_shuffle_over_computed_sides_is_free() -> None:
    b = Builder("shuffle")
    h = b.conv_relu(b.input("x", SIDES), 8)
    apart = b.node("Concat", [part(b, h, 0, 1), ints(b, 2, 4), part(b, h, 2, 4)], axis=0)
    mixed = b.transpose(b.node("Reshape", [h, apart]), 0, 2, 1, 3, 4)
    together = b.node("Concat", [part(b, h, 0, 1), ints(b, 8), part(b, h, 2, 4)], axis=0)
    found = checked(b, layer(b, b.node("Reshape", [mixed, together]), 8, 2))
    assert all_free(found)


def test_a_reshape_that_only_looks_like_it_keeps_channels_is_pinned() -> None:
    b = Builder("coincidence")
    h = b.conv_relu(b.input("x", SIDES), 32)  # as many channels as there are rows at the sizes that are tried
    target = b.node("Concat", [part(b, h, 0, 1), part(b, h, 2, 4), part(b, h, 1, 2)], axis=0)
    found = analyse(graph_of(b.model(b.node("Reshape", [h, target]))))
    assert {pin.op for _, pin in found.pins} == {"Reshape"}


def test_an_expand_to_the_shape_of_another_is_free() -> None:
    b = Builder("expand")
    fine = b.conv_relu(b.input("x", SIDES), 8)
    context = b.conv_relu(b.gap(fine), 8, k=1)
    spread = b.node("Expand", [context, b.node("Shape", [fine])])
    found = checked(b, layer(b, b.concat(spread, fine), 16, 2))
    assert all_free(found)
    assert len(found.groups) == 2


def test_a_count_that_is_calculated_with_keeps_its_channels() -> None:
    b = Builder("scaled")
    h = b.conv_relu(b.input("x", SIDES), 8)
    count = b.node("Cast", [part(b, h, 1, 2)], to=1)
    found = checked(b, b.conv(b.node("Div", [h, count]), 2))
    assert ("Div", "the channel count of 'relu_0_out' is read at run time") in {(p.op, p.why) for _, p in found.pins}


def test_a_shape_that_is_an_output_keeps_its_channels() -> None:
    b = Builder("shape_out")
    h = b.conv_relu(b.input("x", SIDES), 8)
    found = checked(b, b.conv(h, 2), b.node("Shape", [h]))
    assert ("Shape", "the channel count of 'relu_0_out' is read at run time") in {(p.op, p.why) for _, p in found.pins}


def test_sides_alone_keep_nothing() -> None:
    b = Builder("area")
    h = b.conv_relu(b.input("x", SIDES), 8)
    sides = b.node("Cast", [part(b, h, 2, 4)], to=1)
    area = b.node("ReduceProd", [sides], axes=[0], keepdims=0)
    total = b.node("ReduceSum", [h, ints(b, 2, 3)], keepdims=1)
    assert all_free(checked(b, b.conv(b.node("Div", [total, area]), 2, k=1)))
