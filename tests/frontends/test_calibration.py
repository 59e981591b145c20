"""Calibration data come from files, folders, functions and arrays; every mistake is told with what, where and how."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from optimise_onnx.frontends.calibration import calibration
from optimise_onnx.ir.errors import CalibrationError
from optimise_onnx.ir.feeds import Calibration, Feeds
from optimise_onnx.ir.graph import Graph

SCRIPT = """
import numpy as np

def good():
    for start in range(0, 6, 2):
        yield {"x": np.full((2, 3), start, np.float32), "ids": np.zeros((2, 4), np.int64)}

def fails():
    yield {"x": np.zeros((2, 3), np.float32), "ids": np.zeros((2, 4), np.int64)}
    raise OSError("the disk\\nis gone")

def not_dicts():
    yield np.zeros(3)

number = 3
"""


def model(batch: int | str = "N") -> Graph:
    """y = x; inputs x (batch, 3) float32 and ids (batch, any) int64."""
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [batch, 3])
    ids = helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [batch, "S"])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [batch, 3])
    node = helper.make_node("Identity", ["x"], ["y"])
    return Graph.of(helper.make_model(helper.make_graph([node], "g", [x, ids], [y])))


def arrays(count: int, start: int = 0, **others: Any) -> Feeds:
    made = {
        "x": np.arange(start, start + count, dtype=np.float32)[:, None] * np.ones(3, np.float32),
        "ids": np.zeros((count, 4), np.int64),
    }
    return made | others


def first_column(found: Calibration, size: int = 4) -> list[float]:
    return [value for batch in found.batches(size) for value in batch["x"][:, 0].tolist()]


def test_an_npz_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays(5))
    found = calibration(tmp_path / "a.npz", model())
    assert found.samples == 5
    assert first_column(found) == first_column(found) == [0, 1, 2, 3, 4]
    assert first_column(calibration(str(tmp_path / "a.npz"), model(), samples=3)) == [0, 1, 2]


def test_a_folder_is_read_in_order_of_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", **arrays(2, 10))
    np.savez(tmp_path / "a.npz", **arrays(3))
    (tmp_path / "notes.txt").write_text("not data")
    assert first_column(calibration(str(tmp_path), model())) == [0, 1, 2, 10, 11]


def test_a_function_of_a_script(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text(SCRIPT)
    found = calibration(f"{tmp_path}/data.py:good", model(), samples=5)
    assert first_column(found) == first_column(found) == [0, 0, 2, 2, 4]


def test_samples_end_a_function_that_never_does() -> None:
    def endless() -> Iterator[Feeds]:
        while True:
            yield arrays(2)

    assert len(first_column(calibration(endless, model(), samples=7))) == 7


def test_arrays_lists_and_streams_of_python() -> None:
    assert first_column(calibration(arrays(3), model())) == [0, 1, 2]
    assert first_column(calibration([arrays(2), arrays(1, 7)], model())) == [0, 1, 7]
    assert first_column(calibration(Calibration.from_arrays(arrays(2)), model())) == [0, 1]


def test_labels_stay_with_their_samples() -> None:
    found = calibration(arrays(5, label=np.arange(5)), model(), samples=4, extra={"label"})
    (batch,) = found.batches(9)
    assert batch["label"].tolist() == batch["x"][:, 0].tolist() == [0, 1, 2, 3]


def test_whole_batches_where_the_model_fixes_them() -> None:
    assert calibration(arrays(7), model(3)).samples == 6


def without(name: str) -> Feeds:
    return {key: array for key, array in arrays(2).items() if key != name}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (without("ids"), "the calibration data has no array 'ids'.*it has 'x'.*inputs are 'x', 'ids'"),
        (arrays(2, extra=np.zeros(2)), "an array 'extra' that is no input of the model.*--labels"),
        (arrays(2, x=np.zeros((2, 4), np.float32)), r"'x' in the calibration.*\[2, 4\].*takes \[samples, 3\]"),
        (arrays(2, x=np.zeros((2, 3, 1), np.float32)), "wrong shape"),
        (arrays(2, ids=np.zeros((2, 4))), r"'ids'.*is float64, the model takes int64.*\.astype\('int64'\)"),
        (arrays(2, x=np.full((2, 3), 2**24 + 1)), "is int64, the model takes float32"),
        (arrays(2, x=np.full((2, 3), "a")), "is str32, the model takes float32"),
        (arrays(2, x=np.full((2, 3), 1e300)), "holds NaN or Inf"),
        (arrays(2, ids=np.full((2, 4), 2**63, np.uint64)), "'ids'.*is uint64, the model takes int64"),
        (arrays(2, x=np.zeros((2, 1), np.float32)), "wrong shape"),
        (arrays(5, x=np.zeros((3, 5), np.float32)), r"its samples last .*\[samples, 3\] \(\.transpose\(1, 0\) fits\)"),
        (arrays(2, x=np.full((2, 3), np.nan, np.float32)), "holds NaN or Inf"),
        (arrays(2, x=np.full((2, 3), np.inf, np.float32)), "holds NaN or Inf"),
        (arrays(2, ids=np.zeros((3, 4), np.int64)), "equally many samples"),
        (arrays(0), "holds 0 samples"),
        ([], "holds 0 samples"),
        ([3], "batch 0 is no dict of numpy arrays"),
        ([np.zeros(3)], "batch 0 holds one array without a name: wanted are 'x', 'ids'"),
        ({"x": [1.0], "ids": [1]}, "no dict of numpy arrays"),
        (iter([arrays(2)]), "readable twice"),
        (3, "readable twice"),
        ("nowhere.npz", "cannot read 'nowhere.npz': no such file"),
        ("nowhere.py:good", "cannot read 'nowhere.py': no such file"),
    ],
)
def test_mistakes_are_told(data: Any, said: str) -> None:
    with pytest.raises(CalibrationError, match=said) as info:
        calibration(data, model())
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fails", "fails failed: OSError: the disk"),
        ("not_dicts", "batch 0 of .*not_dicts holds one array without a name"),
        ("number", "has no function 'number'"),
        ("missing", "has no function 'missing'"),
    ],
)
def test_mistakes_in_scripts_are_told(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text(SCRIPT)
    with pytest.raises(CalibrationError, match=said):
        calibration(f"{tmp_path}/data.py:{name}", model())


def test_a_script_that_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text("import not_there_at_all")
    with pytest.raises(CalibrationError, match="data.py' does not load: ModuleNotFoundError"):
        calibration(f"{tmp_path}/data.py:good", model())


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04cut"])
def test_files_that_are_no_npz(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(CalibrationError, match="not an .npz file"):
        calibration(tmp_path / "a.npz", model())


def test_a_truncated_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays(50))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CalibrationError, match="cut short"):
        calibration(tmp_path / "a.npz", model())


def test_a_single_array_and_pickles_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(CalibrationError, match="numpy.savez"):
        calibration(tmp_path / "a.npz", model())
    np.savez(tmp_path / "b.npz", x=np.array([{}], object), ids=np.zeros((1, 4), np.int64))
    with pytest.raises(CalibrationError, match="plain arrays"):
        calibration(tmp_path / "b.npz", model())


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="no samples lie in .*no .npz or .npy file.*docs/data.md"):
        calibration(tmp_path, model())


def test_fewer_samples_than_a_fixed_batch() -> None:
    with pytest.raises(CalibrationError, match="holds 2 samples.*takes 4 at a time"):
        calibration(arrays(2), model(4))


def test_a_model_whose_inputs_have_no_common_batch() -> None:
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4, 3])
    h = helper.make_tensor_value_info("h", onnx.TensorProto.FLOAT, [1, 3])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4, 3])
    node = helper.make_node("Add", ["x", "h"], ["y"])
    graph = Graph.of(helper.make_model(helper.make_graph([node], "g", [x, h], [y])))
    data = {"x": np.zeros((4, 3), np.float32), "h": np.zeros((4, 3), np.float32)}
    with pytest.raises(CalibrationError, match=r"different leading dimensions: \[1, 4\]"):
        calibration(data, graph)
