"""Sizes of open inputs: from the option, else from the samples, else tried and said so; by every command."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from oracle import graph_of
from zoo.builder import Builder

import optimise_onnx
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.cost import cost, total
from optimise_onnx.ir.errors import CalibrationError, UsageError
from optimise_onnx.ir.feeds import Calibration, batch_size
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import input_sizes
from optimise_onnx.ir.sizes import Sizes
from optimise_onnx.tools import api
from optimise_onnx.tools.bench import bench
from optimise_onnx.tools.sizing import InputShapes, notes, sized

from .conftest import Run

NOTE = (
    "input 'x' fixes no size of H and W and there are no samples: taken as 1x3x32x32; "
    "give --input-shape x:1,3,224,224 to take another"
)
MACS_64 = 1_032_532
TO_64 = ("--input-shape", "x:1,3,64,64")
COMPRESS = ("compress", "in.onnx", "-o", "out.onnx", "--align", "1", "--target", "macs=600k")


def open_network() -> onnx.ModelProto:
    """Convolutions over images of any height and width: 1,032,532 MACs at 64 x 64, a quarter of it at 32 x 32."""
    b = Builder("open")
    x = b.conv_relu(b.input("x", ["N", 3, "H", "W"]), 16, stride=4)
    return b.model(b.head(b.conv_relu(b.conv_relu(x, 32, stride=2), 34)))


def images(side: int, count: int = 24) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(0).standard_normal((count, 3, side, side)).astype(np.float32)}


def with_sizes(graph: Graph, given: InputShapes = (), **samples: np.ndarray) -> Graph:
    return sized(graph, OrtRunner(1), given, Calibration.from_arrays(samples) if samples else None)


def two(first: Sequence[int | str | None], second: Sequence[int | str | None]) -> Graph:
    b = Builder("two")
    return graph_of(b.model(b.relu(b.input("x", list(first))), b.relu(b.input("y", list(second)))))  # type: ignore[arg-type]


@pytest.fixture
def place(folder: Path) -> Path:
    """The folder, with the open network as ``in.onnx`` and images of 64 x 64."""
    onnx.save(open_network(), folder / "in.onnx")
    np.savez(folder / "data.npz", **images(64))
    return folder


def test_a_target_counts_at_the_size_of_the_samples(place: Path, run: Callable[..., Run]) -> None:
    found = run(*COMPRESS, "--data", "data.npz", "--samples", "16", "--report", "r.json")
    assert (found.code, found.err) == (0, "") and "taken as" not in found.out
    report = json.loads((place / "r.json").read_text())
    assert report["input_shapes"] == {"x": [1, 3, 64, 64]} and not any("input" in note for note in report["notes"])
    assert report["before"]["macs"] == MACS_64 and 500_000 < report["after"]["macs"] <= 600_000
    smaller = with_sizes(api.load(place / "out.onnx"), ["x:1,3,64,64"])
    assert total(cost(smaller)).macs == report["after"]["macs"]


def test_a_target_counts_at_the_given_size_or_says_at_which(place: Path, run: Callable[..., Run]) -> None:
    found = run(*COMPRESS, *TO_64, "--report", "r.json")
    assert found.code == 0 and "taken as" not in found.out
    report = json.loads((place / "r.json").read_text())
    assert report["before"]["macs"] == MACS_64 and report["after"]["macs"] <= 600_000
    found = run(*COMPRESS, "--dry-run")
    assert found.code == 0 and NOTE in found.out.replace("\n", " ")


def test_the_option_and_the_samples_contradict_each_other(run: Callable[..., Run], place: Path) -> None:
    said = "input shape x:1,3,32,32 contradicts the sample of 'x' [3, 64, 64]: H is 32 in one place and 64 in another"
    pipeline = ("run", "in.onnx", "-o", "out.onnx", "--passes", "fold-constants")
    for command in (COMPRESS, pipeline, ("verify", "in.onnx", "in.onnx")):
        found = run(*command, "--data", "data.npz", "--input-shape", "x:1,3,32,32")
        assert (found.code, found.error) == (2, said)
        assert run(*command, "--data", "data.npz", *TO_64).code == 0 or command is COMPRESS
    assert sorted(path.name for path in place.iterdir()) == ["data.npz", "in.onnx", "out.onnx"]


def test_analyse_says_which_size_it_tried(place: Path, run: Callable[..., Run]) -> None:
    found = run("analyse", "in.onnx", "--json", "a.json")
    assert found.code == 0 and NOTE in found.out
    written = json.loads((place / "a.json").read_text())
    assert (written["input_shapes"], written["notes"]) == ({"x": [1, 3, 32, 32]}, [NOTE])
    found = run("analyse", "in.onnx", "--json", "a.json", *TO_64)
    assert found.code == 0 and "taken as" not in found.out
    assert json.loads((place / "a.json").read_text())["total"]["macs"] == MACS_64


@pytest.mark.parametrize(
    "command",
    [
        ("run", "in.onnx", "-o", "out.onnx", "--passes", "fold-constants"),
        ("bench", "in.onnx", "--seconds", "0.05"),
        ("verify", "in.onnx", "in.onnx"),
    ],
)
def test_other_commands_say_it_too(command: Sequence[str], run: Callable[..., Run], place: Path) -> None:
    found = run(*command)
    assert found.code == 0 and found.out.count(NOTE) == 1
    found = run(*command, *TO_64)
    assert found.code == 0 and "taken as" not in found.out
    found = run(*command, "--input-shape", "y:1,3,64,64")
    assert (found.code, found.error) == (2, "input shape y:1,3,64,64 is of no input (the model's inputs are 'x')")


def test_hardware_takes_the_size_that_is_said(place: Path, run: Callable[..., Run]) -> None:
    command = ("hls", "in.onnx", "--project", "made", "--no-csim", "--bits", "8")
    pytest.importorskip("hls4ml")
    found = run(*command)
    assert found.code == 6 and "open sizes" in found.error and "--input-shape" in found.error
    assert run(*command, "--input-shape", "x:1,3,64").code == 2
    assert run(*command, "--input-shape", "x:1,3,16,16").code == 0
    made = onnx.load(place / "made" / "network.onnx").graph.input[0]
    assert [dim.dim_value for dim in made.type.tensor_type.shape.dim][-3:] == [16, 16, 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "'x' is no input shape (write the input's name and all numbers: x:1,3,224,224)"),
        ("x:1,3,a,b", "'x:1,3,a,b' is no input shape"),
        ("x:1,3,64", "input shape x:1,3,64 does not fit: the model takes [N, 3, H, W]"),
        ("x:1,4,64,64", "input shape x:1,4,64,64 does not fit: the model takes [N, 3, H, W]"),
        ("x:1,3,0,64", "input shape x:1,3,0,64 has a dimension below 1"),
        ("x:1,3,-1,64", "input shape x:1,3,-1,64 has a dimension below 1"),
        ("x:2,3,64,64", "input shape x:2,3,64,64 is not of one sample"),
    ],
)
def test_shapes_that_cannot_be(text: str, said: str, run: Callable[..., Run], place: Path) -> None:
    found = run("analyse", "in.onnx", "--input-shape", text)
    assert found.code == 2 and found.error.startswith(said)


def test_a_model_of_fixed_sizes_says_nothing(run: Callable[..., Run]) -> None:
    assert "taken as" not in run("analyse", "in.onnx").out
    assert run("analyse", "in.onnx", "--input-shape", "x:1,3,8,8").code == 0
    assert run("analyse", "in.onnx", "--input-shape", "x:1,3,9,8").code == 2


def test_functions_take_shapes_by_name() -> None:
    model, shapes = open_network(), {"x": (1, 3, 64, 64)}
    assert total(optimise_onnx.analyse(model, input_shapes=shapes).costs).macs == MACS_64
    manager = optimise_onnx.PassManager.parse("fold-constants")
    graph = api.run_pipeline(model, manager, input_shapes=shapes).graph
    assert input_sizes(graph, 2) == {"x": (2, 3, 64, 64)}
    options = {"criterion": "magnitude", "align": 1, "guard": False, "cache": False}
    found = optimise_onnx.compress(model, target="macs=600k", input_shapes=shapes, **options)
    assert found.report.input_shapes == shapes and found.report.before.macs == MACS_64


def test_a_graph_keeps_what_was_said_and_samples_win_over_it() -> None:
    graph = graph_of(open_network())
    first = with_sizes(graph, {"x": (1, 3, 48, 64)})
    assert graph.sizes is None and with_sizes(first).sizes == first.sizes == Sizes({"H": 48, "W": 64})
    assert with_sizes(first, **images(24, 2)).sizes == Sizes({"H": 24, "W": 24})
    tried = with_sizes(graph)
    assert tried.sizes == Sizes({"H": 32, "W": 32}, frozenset("HW"))
    assert with_sizes(tried, **images(24, 2)).sizes == Sizes({"H": 24, "W": 24})


def test_a_size_at_which_the_model_runs_is_tried() -> None:
    graph = with_sizes(two([4, 3, "S"], ["N", 5]))
    assert input_sizes(graph, 1) == {"x": (4, 3, 32), "y": (1, 5)}
    b = Builder("added")
    graph = with_sizes(graph_of(b.model(b.add(b.input("x", ["N", None]), b.vector(16)))))
    assert input_sizes(graph, 1) == {"x": (1, 16)}
    assert notes(graph) == (
        "input 'x' fixes no size of x[1] and there are no samples: "
        "taken as 1x16; give --input-shape x:1,224 to take another",
    )


def test_inputs_that_share_a_symbol_agree() -> None:
    graph = two(["N", 3, "S"], ["N", "S", "T"])
    found = with_sizes(graph, ["x:1,3,7"])
    assert input_sizes(found, 2) == {"x": (2, 3, 7), "y": (2, 7, 32)}
    assert [note.split(" and there")[0] for note in notes(found)] == ["input 'y' fixes no size of T"]
    with pytest.raises(UsageError, match=r"input shape x:1,3,7 contradicts input shape y:1,8,9: S is 7 .* and 8"):
        with_sizes(graph, ["x:1,3,7", "y:1,8,9"])
    with pytest.raises(UsageError, match=r"input shape x:1,3,7 contradicts input shape x:1,3,8"):
        with_sizes(graph, ["x:1,3,7", "x:1,3,8"])
    samples = {"x": np.zeros((2, 3, 7), np.float32), "y": np.zeros((2, 8, 9), np.float32)}
    with pytest.raises(CalibrationError, match=r"the sample of 'x' \[3, 7\] contradicts the sample of 'y' \[8, 9\]"):
        with_sizes(graph, **samples)


def test_a_name_may_hold_a_colon() -> None:
    b = Builder("colon")
    graph = graph_of(b.model(b.relu(b.input("x:0", ["N", "S"]))))
    assert input_sizes(with_sizes(graph, ["x:0:1,5"]), 1) == {"x:0": (1, 5)}


def test_both_models_of_a_bench_get_the_shape(place: Path) -> None:
    found = bench([place / "in.onnx"] * 2, seconds=0.01, batch=2, input_shapes=["x:1,3,16,16"])
    assert found.notes == () and len(found.latency.p50) == 2
    assert len(bench([place / "in.onnx"] * 2, seconds=0.01).notes) == 1


def streaming() -> onnx.ModelProto:
    """A network of two directions that takes its state, of one sample, and says that its batch is open."""
    b = Builder("streaming")
    h = b.transpose(b.relu(b.matmul(b.input("x", ["N", 6, 10]), 16)), 1, 0, 2)
    weights = [b.weight([2, 24, size], fan_in=size) for size in (16, 8)]
    given = [h, *weights, b.const(np.zeros((2, 48))), "", b.input("h", [2, 1, 8])]
    _, last = b.nodes("GRU", given, 2, hidden_size=8, direction="bidirectional")
    return b.model(b.gemm(b.reshape(b.transpose(last, 1, 0, 2), -1, 16), 5))


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_a_model_that_runs_on_one_sample_only(count: int) -> None:
    x = np.random.default_rng(0).normal(size=(count, 6, 10)).astype(np.float32)
    data = {"x": x, "h": np.zeros((2, 1, 8), np.float32)} if count else None
    graph = graph_of(streaming())
    once = sized(graph, OrtRunner(1))
    assert batch_size(graph, 16) != 1
    for copy in (once, sized(once, OrtRunner(1))):
        assert copy.sizes is not None and copy.sizes.alone and batch_size(copy, 16) == 1
    found = optimise_onnx.compress(streaming(), target="params=0.8x", data=data)
    assert "the model runs on one sample at a time, though it leaves the batch open" in found.report.notes


def test_a_batch_that_a_model_of_one_sample_cannot_take(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the batch cannot be 4"):
        optimise_onnx.compress(streaming(), target="params=0.8x", batch=4)
    onnx.save(streaming(), tmp_path / "in.onnx")
    with pytest.raises(UsageError, match="the batch cannot be 4"):
        bench([tmp_path / "in.onnx"], batch=4)


def test_models_of_any_batch_are_not_taken_for_models_of_one_sample() -> None:
    sizes = sized(graph_of(open_network()), OrtRunner(1)).sizes
    assert sizes is not None and not sizes.alone
