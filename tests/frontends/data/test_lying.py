"""Inputs that are not one batch: constants, states, another axis; chosen by the data and the model where these tell."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from optimise_onnx.frontends.calibration import calibration
from optimise_onnx.frontends.data import files
from optimise_onnx.ir.errors import CalibrationError, UsageError
from optimise_onnx.ir.feeds import Calibration, batch_size, random_feeds, suited
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import input_sizes

Dims = list[int | str]
X: Dims = ["N", 3]


def model(**inputs: Dims) -> Graph:
    """y = x, and more inputs that nobody reads."""
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims) for name, dims in inputs.items()]
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, inputs["x"])
    node = helper.make_node("Identity", ["x"], ["y"])
    return Graph.of(helper.make_model(helper.make_graph([node], "g", values, [y])))


def numbers(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize(
    ("dims", "array", "lie"),
    [
        ([], numbers(), {"h": None}),
        ([2], numbers(2), {"h": None}),
        ([1], numbers(1), {"h": None}),
        ([1, 4], numbers(1, 4), {"h": None}),
        ([2, "N", 4], numbers(2, 5, 4), {"h": 1}),
        ([5, "N", 4], numbers(5, 5, 4), {"h": 1}),  # the model's symbol tells, where the data do not
        ([2, "M", 4], numbers(2, 5, 4), {"h": 1}),
        ([2, "M", "L"], numbers(2, 7, 5), {"h": 2}),
        ([5, 4], numbers(5, 4), {}),
        (["M", 4], numbers(5, 4), {}),
    ],
)
def test_data_tell_how_samples_lie(dims: Dims, array: np.ndarray, lie: dict[str, int | None]) -> None:
    graph = model(h=dims, x=X)
    found = calibration({"x": numbers(5, 3), "h": array}, graph)
    assert found.lie == lie and found.samples == 5 - 5 % found.step
    batches = list(found.batches(2))
    axis = lie.get("h", 0)
    for start, batch in zip((0, 2, 4), batches, strict=found.step == 1):
        stop = start + len(batch["x"])
        wanted = array if axis is None else np.take(array, range(start, stop), axis)
        assert batch["h"].tolist() == wanted.tolist()
    assert ("input 'h': the same for all samples" in found.notes) == (axis is None)


@pytest.mark.parametrize(
    ("asked", "dims", "array", "lie"),
    [
        ("constant", ["K"], numbers(2), {"h": None}),
        ("constant", [5, 2], numbers(5, 2), {"h": None}),
        ("batch:1", ["T", "M", 4], numbers(9, 5, 4), {"h": 1}),
        ("batch:0", [5, "M"], numbers(5, 5), {}),
        ("state", [2, "N", 4], None, {"h": 1}),
        ("state", [2, "M", 4], None, {"h": 1}),
        ("state", [2, 1, 4], None, {"h": None}),
        ("state", ["N", 4], None, {}),
        ("state", [2, "N", 4], numbers(2, 5, 4), {"h": 1}),
    ],
)
def test_people_tell(asked: str, dims: Dims, array: np.ndarray | None, lie: dict[str, int | None]) -> None:
    data = {"x": numbers(5, 3)} | ({} if array is None else {"h": array})
    found = calibration(data, model(x=X, h=dims), inputs=[f"h={asked}"])
    assert found.lie == lie
    (batch,) = found.batches(5)
    shape = tuple(5 if axis == lie.get("h", 0) else dim for axis, dim in enumerate(dims))
    assert batch["h"].tolist() == (np.zeros(shape) if array is None else array).tolist()


def test_a_lone_array_besides_a_state(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", numbers(5, 3))
    found = calibration(tmp_path / "x.npy", model(x=X, h=[2, "N", 4]), inputs=["h=state"], samples=3)
    assert [batch["h"].shape for batch in found.batches(2)] == [(2, 2, 4), (2, 1, 4)]


def test_single_samples_beside_constants_and_states(tmp_path: Path) -> None:
    for place in range(3):
        np.savez(tmp_path / f"{place}.npz", x=numbers(3) + place, h=numbers(2, 4), k=numbers(2))
    found = calibration(tmp_path, model(x=X, h=[2, "N", 4], k=[2]))
    assert found.samples == 3 and found.lie == {"h": 1, "k": None}
    (batch,) = found.batches(3)
    assert batch["h"].shape == (2, 3, 4) and batch["x"][:, 0].tolist() == [0, 1, 2]


def test_numbers_may_be_constants() -> None:
    found = calibration({"x": numbers(5, 3), "rate": 16000}, model(x=X, rate=[]))
    assert found.constants["rate"] == np.float32(16000)


@pytest.mark.parametrize(
    ("data", "inputs", "said"),
    [
        (
            {"x": numbers(5, 3), "h": numbers(4, 2)},
            [],
            "equally many samples.*--input NAME=constant",
        ),
        ([{"x": numbers(1, 3), "h": numbers(2, 2) + i} for i in range(2)], ["h=constant"], "another one than before"),
        (
            {"x": numbers(5, 3)},
            ["h=state"],
            r"no zeros .* state 'h'.*\[samples, K\] .put it in",
        ),
    ],
)
def test_data_that_do_not_fit(data: Any, inputs: list[str], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        calibration(data, model(x=X, h=["M", "K"]), inputs=inputs)


@pytest.mark.parametrize("text", ["z=constant", "h", "h=batch", "h=batch:2", "h=batch:x", "h=else", "=constant"])
def test_texts_that_say_nothing(text: str) -> None:
    with pytest.raises(UsageError, match=r"--input.*write NAME=constant, NAME=batch:AXIS or NAME=state"):
        calibration({"x": numbers(5, 3), "h": numbers(5, 2)}, model(x=X, h=["M", 2]), inputs=[text])


def test_a_graph_keeps_how_samples_lie() -> None:
    graph = model(h=["T", "M", 4], k=["K"], x=[1, 3])
    data = {"x": numbers(5, 3), "h": numbers(9, 5, 4), "k": numbers(2)}
    found = calibration(data, graph, inputs=["h=batch:1", "k=constant"])
    known = suited(graph, found)
    assert known is not graph and suited(graph, None) is graph
    known.sizes = known.copy().sizes
    assert batch_size(known, 16) == 1
    sizes = input_sizes(known, 1)
    assert sizes["k"] == (2,) and sizes["x"] == (1, 3) and sizes["h"][1:] == (1, 4)
    assert random_feeds(known, np.random.default_rng(0), 1)["k"].tolist() == [0, 1]


def test_samples_of_several_sizes_come_by_size(tmp_path: Path) -> None:
    for place in range(9):
        np.save(tmp_path / f"{place}.npy", np.full((3, 4 + place % 2), place, np.float32))
    found = calibration(tmp_path, model(x=["N", 3, "W"]))
    assert found.uneven and "samples have several shapes" in found.notes[0]
    batches = [batch["x"] for batch in found.batches(2)]
    assert [batch.shape for batch in batches] == [(2, 3, 4), (2, 3, 5)] * 2 + [(1, 3, 4)]
    assert sorted(np.concatenate([batch[:, 0, 0] for batch in batches]).tolist()) == list(range(9))
    with pytest.raises(UsageError, match="fisher needs samples of one shape"):
        found.check_even("fisher")


def test_samples_that_wait_for_others_are_few() -> None:
    pieces = [{"x": numbers(1, width)} for width in range(1, 100)]
    read = []

    def source() -> Any:
        for piece in pieces:
            read.append(piece)
            yield piece

    first = next(Calibration(source, 99).batches(2))
    assert first["x"].shape == (1, 1) and len(read) == 16


@pytest.mark.parametrize(
    ("dims", "given"),
    [(["M"], ("h=constant",)), ([10], ()), ([7, "N"], ()), ([7, "M"], ()), (["T", "B"], ("h=batch:1",))],
)
def test_the_first_samples_are_cut_along_their_own_axis(tmp_path: Path, dims: Dims, given: tuple[str, ...]) -> None:
    arrays = {"x": numbers(12, 3), "h": numbers(10) if len(dims) == 1 else numbers(7, 12)}
    np.savez(tmp_path / "data.npz", **arrays)
    found = calibration(tmp_path / "data.npz", model(h=dims, x=X), samples=5, inputs=given)
    (batch,) = found.batches(5)
    assert found.samples == 5
    assert batch["h"].tolist() == (arrays["h"] if len(dims) == 1 else arrays["h"][:, :5]).tolist()


def test_steps_of_a_file_are_no_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PIECE", 64)
    np.save(tmp_path / "data.npy", numbers(40, 5, 3))
    found = calibration(tmp_path / "data.npy", model(x=["T", "N", 3]), inputs=("x=batch:1",))
    (batch,) = found.batches(5)
    assert found.samples == 5 and batch["x"].shape == (40, 5, 3)
