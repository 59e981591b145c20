"""Streams of samples keep every sample in order, whatever the pieces; random inputs suit the model."""

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from optimise_onnx.ir.errors import CalibrationError, InvalidModelError
from optimise_onnx.ir.feeds import Calibration, Feeds, batch_size, first, fixed_batches, lying, random_feeds
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.sizes import Sizes


def pieces(lengths: list[int]) -> Calibration:
    """Samples 0, 1, 2, … in pieces of the given lengths."""
    bounds = np.cumsum([0, *lengths])

    def source() -> Iterator[Feeds]:
        for start, end in zip(bounds[:-1], bounds[1:], strict=True):
            yield {"x": np.arange(start, end), "y": np.arange(start, end)[:, None] * 2}

    return Calibration(source, int(bounds[-1]))


def model(*inputs: tuple[str, int, list[int | str]]) -> Graph:
    """A graph of one Identity, with these inputs."""
    values = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs]
    output = helper.make_tensor_value_info("out", inputs[0][1], inputs[0][2])
    node = helper.make_node("Identity", [inputs[0][0]], ["out"])
    return Graph.of(helper.make_model(helper.make_graph([node], "g", values, [output])))


@given(
    lengths=st.lists(st.integers(0, 7), max_size=6),
    size=st.integers(1, 9),
    skipped=st.integers(0, 20),
    taken=st.integers(0, 20),
)
def test_batches_hold_every_sample_once_in_order(lengths: list[int], size: int, skipped: int, taken: int) -> None:
    stream = pieces(lengths).tail(skipped).head(taken)
    wanted = np.arange(sum(lengths))[skipped:][:taken]
    for _ in range(2):
        batches = list(stream.batches(size))
        seen = np.concatenate([batch["x"] for batch in batches]) if batches else np.zeros(0)
        assert seen.tolist() == wanted.tolist()
        assert all((batch["y"][:, 0] == 2 * batch["x"]).all() for batch in batches)
        assert all(len(batch["x"]) == size for batch in batches[:-1])
    assert stream.samples == len(wanted)


@given(lengths=st.lists(st.tuples(st.integers(1, 7), st.integers(0, 2)), max_size=9), size=st.integers(1, 9))
def test_samples_of_several_shapes_and_along_another_axis(lengths: list[tuple[int, int]], size: int) -> None:
    ends = np.cumsum([0, *(count for count, _ in lengths)])
    parts = [
        {"x": np.broadcast_to(np.arange(end - count, end), (2 + kind, count)), "k": np.ones(3)}
        for (count, kind), end in zip(lengths, ends[1:], strict=True)
    ]
    stream = Calibration(lambda: parts, int(ends[-1]), axes={"x": 1}, constants={"k": np.ones(3)})
    batches = list(stream.batches(size))
    assert sorted(number for batch in batches for number in batch["x"][0].tolist()) == list(range(stream.samples))
    assert all(1 <= batch["x"].shape[1] <= size and batch["k"].shape == (3,) for batch in batches)
    halves = [part for half in (stream.head(4), stream.tail(4)) for part in half.batches(size)]
    assert sum(part["x"].shape[1] for part in halves) == stream.samples


def test_a_head_does_not_read_on() -> None:
    def source() -> Iterator[Feeds]:
        yield {"x": np.zeros(4)}
        raise AssertionError("read past the last sample")

    assert len(list(Calibration(source, 100).head(4).batches(2))) == 2


@given(samples=st.integers(0, 6), count=st.integers(0, 30), step=st.integers(1, 5))
def test_cuts_are_made_between_whole_batches(samples: int, count: int, step: int) -> None:
    stream = Calibration(lambda: [{"x": np.arange(samples * step)}], samples * step, step=step)
    head, tail = stream.head(count), stream.tail(count)
    assert head.samples % step == tail.samples % step == 0
    assert count == 0 or head.samples >= min(step, stream.samples)
    assert count < step or head.samples + tail.samples == stream.samples
    assert all(len(batch["x"]) == step for part in (head, tail) for batch in part.batches(step))


def test_only_keeps_the_named_arrays() -> None:
    stream = Calibration.from_arrays({"x": np.zeros(3), "label": np.ones(3)})
    assert [sorted(batch) for batch in stream.only(["x"]).batches(2)] == [["x"], ["x"]]


@pytest.mark.parametrize("y", [np.zeros(4), np.float32(1)])
def test_arrays_must_agree_on_the_number_of_samples(y: np.ndarray) -> None:
    with pytest.raises(CalibrationError, match="equally many samples"):
        Calibration.from_arrays({"x": np.zeros(3), "y": np.asarray(y)})


def test_a_fixed_batch_wins_over_the_wanted_one() -> None:
    assert batch_size(model(("x", 1, ["N", 3])), 32) == 32
    assert batch_size(model(("x", 1, [4, 3]), ("y", 1, ["N", 2])), 32) == 4
    assert fixed_batches(model(("x", 1, [4, 3]), ("y", 1, [2, 3]))) == {2, 4}


def test_random_feeds_suit_the_model() -> None:
    kinds = onnx.TensorProto
    graph = model(
        ("f", kinds.FLOAT16, ["N", 3, "H"]),
        ("i", kinds.INT64, ["N", 500]),
        ("b", kinds.BOOL, [2, 500]),
        ("q", kinds.INT8, ["N", 5000]),
    )
    graph.sizes = Sizes({"H": 7})
    made = random_feeds(graph, np.random.default_rng(0), 5)
    assert {name: (array.shape, array.dtype.name) for name, array in made.items()} == {
        "f": ((5, 3, 7), "float16"),
        "i": ((5, 500), "int64"),
        "b": ((2, 500), "bool"),
        "q": ((5, 5000), "int8"),
    }
    assert set(np.unique(made["i"])) == {0, 1, 2, 3}
    assert (made["q"].min(), made["q"].max()) == (-128, 127)
    again = random_feeds(graph, np.random.default_rng(0), 5)
    assert all((made[name] == again[name]).all() for name in made)


def test_no_random_text() -> None:
    with pytest.raises(InvalidModelError, match="no random values"):
        random_feeds(model(("s", onnx.TensorProto.STRING, ["N"])), np.random.default_rng(0), 1)


def test_what_fixes_its_shape_beside_an_open_batch_is_the_same_for_samples_taken_alone() -> None:
    kind = onnx.TensorProto.FLOAT
    graph = model(("x", kind, ["N", 3]), ("h", kind, [2, "N", 4]), ("c", kind, [4, 1, 8]), ("rate", kind, []))
    assert lying(graph) == {"h": 1, "rate": None}
    assert batch_size(graph, 7) == 4
    graph.sizes = Sizes(alone=True)
    assert lying(graph) == {"h": 1, "c": None, "rate": None}
    assert batch_size(graph, 7) == 1
    feeds = random_feeds(graph, np.random.default_rng(0), 7)
    wanted = {"x": (7, 3), "h": (2, 7, 4), "c": (4, 1, 8), "rate": ()}
    assert {name: array.shape for name, array in feeds.items()} == wanted
    assert first(feeds, lying(graph))["h"].shape == (2, 1, 4)
