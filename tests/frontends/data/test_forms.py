"""Every form in which data lie on disk, and what is done to fit them to the model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from optimise_onnx.frontends.calibration import calibration
from optimise_onnx.ir.errors import CalibrationError
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph

IMAGES = np.arange(5 * 3 * 2 * 2, dtype=np.float32).reshape(5, 3, 2, 2)


def model(shape: list[int | str] | None = None, kind: int = onnx.TensorProto.FLOAT, *more: str) -> Graph:
    """y = x; x (N, 3, 2, 2) unless said, more inputs alike."""
    inputs = [helper.make_tensor_value_info(name, kind, shape or ["N", 3, 2, 2]) for name in ("x", *more)]
    y = helper.make_tensor_value_info("y", kind, shape or ["N", 3, 2, 2])
    node = helper.make_node("Identity", ["x"], ["y"])
    return Graph.of(helper.make_model(helper.make_graph([node], "g", inputs, [y])))


def read(found: Calibration, name: str = "x") -> np.ndarray:
    whole = [np.concatenate([batch[name] for batch in found.batches(size)]) for size in (2, 3)]
    assert np.array_equal(*whole) and len(whole[0]) == found.samples
    return whole[0]


def npy(folder: Path) -> Path:
    np.save(folder / "a.npy", IMAGES)
    return folder / "a.npy"


def unnamed(folder: Path) -> Path:
    np.savez(folder / "a.npz", IMAGES)
    return folder / "a.npz"


def folder_of_npy(folder: Path) -> Path:
    for place, image in enumerate(IMAGES):
        np.save(folder / f"{place}.npy", image)
    return folder


def folder_of_npz(folder: Path) -> Path:
    for place, image in enumerate(IMAGES):
        np.savez(folder / f"{place}.npz", x=image)
    return folder


def sets_of_onnx(folder: Path) -> Path:
    for place, image in enumerate(IMAGES):
        one = folder / f"test_data_set_{place + 8}"  # 10 comes after 9
        one.mkdir(exist_ok=True)
        onnx.save_tensor(numpy_helper.from_array(image[None], "other"), one / "input_0.pb")
        onnx.save_tensor(numpy_helper.from_array(image[None]), one / "output_0.pb")
    return folder


def table(folder: Path) -> Path:
    np.savetxt(folder / "a.csv", IMAGES.reshape(5, -1), delimiter=",")
    return folder / "a.csv"


def script(folder: Path) -> Path:
    np.save(folder / "held.npy", IMAGES)
    body = f"import numpy as np\n\ndef samples():\n    for image in np.load({str(folder / 'held.npy')!r}):\n"
    (folder / "s.py").write_text(f"{body}        yield image\n")
    return folder / "s.py"


def array(_folder: Path) -> np.ndarray:
    return IMAGES


def function(_folder: Path) -> Any:
    return lambda: IMAGES


@pytest.mark.parametrize(
    "made",
    [npy, unnamed, folder_of_npy, folder_of_npz, sets_of_onnx, table, script, array, function],
    ids=lambda made: made.__name__,
)
def test_forms(made: Any, tmp_path: Path) -> None:
    assert np.array_equal(read(calibration(made(tmp_path), model())), IMAGES)
    assert np.array_equal(read(calibration(made(tmp_path), model(), samples=3)), IMAGES[:3])


def test_one_test_set_of_several_inputs(tmp_path: Path) -> None:
    for place in range(2):
        onnx.save_tensor(numpy_helper.from_array(IMAGES[:1] + place), tmp_path / f"input_{place}.pb")
    found = calibration(tmp_path, model(None, onnx.TensorProto.FLOAT, "z"))
    assert read(found, "z").tolist() == (IMAGES[:1] + 1).tolist()
    with pytest.raises(CalibrationError, match="is not of this model: it has input_0.pb, input_1.pb"):
        calibration(tmp_path, model())


@pytest.mark.parametrize("text", ["1,2\n3,4", "0,1\n1,2\n3,4", "a;b\n1;2\n3;4\n", "\ufeffa\tb\n1\t2\n3\t4"])
def test_tables(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert read(calibration(tmp_path / "a.csv", model(["N", 2]))).tolist() == [[1, 2], [3, 4]]


def test_columns_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("z,label,x\n1,7,4\n2,8,5\n")
    found = calibration(tmp_path / "a.csv", model(["N", 1], onnx.TensorProto.INT64, "z"), extra={"label"})
    assert [read(found, name).ravel().tolist() for name in ("x", "z", "label")] == [[4, 5], [1, 2], [7, 8]]
    lone = calibration(tmp_path / "a.csv", model(["N", "K"]), extra={"label"})
    assert read(lone).tolist() == [[1, 4], [2, 5]] and lone.notes == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,x\n", "could not convert string 'x'"),
        ("1,2\n3\n", "number of columns changed"),
        ("1,2,3\n4,5,6\n", r"a row has 3 columns for 'x', the model takes \[samples, 2\]"),
        ("1.5,2\n", "holds no|is float64, the model takes int64"),
    ],
)
def test_tables_that_do_not_fit(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(CalibrationError, match=said):
        calibration(tmp_path / "a.csv", model(["N", 2], onnx.TensorProto.INT64))


def test_a_table_without_the_labels(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n")
    with pytest.raises(CalibrationError, match="has no column 'label': its columns: none has a name"):
        calibration(tmp_path / "a.csv", model(["N", 2]), extra={"label"})


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        (IMAGES.astype(np.float64), "FLOAT", "float64 in the data, taken as float32"),
        (IMAGES.astype(np.uint8), "FLOAT", "uint8 in the data, taken as float32, its numbers as they are"),
        (IMAGES.astype(np.int32), "INT64", "int32 in the data, taken as int64"),
        (IMAGES.astype(np.int64), "INT32", "int64 in the data, taken as int32"),
        (IMAGES.astype(np.float32), "FLOAT16", "float32 in the data, taken as float16"),
    ],
)
def test_safe_casts_are_done_and_said(given: np.ndarray, kind: str, said: str) -> None:
    found = calibration({"x": given}, model(None, getattr(onnx.TensorProto, kind)))
    assert read(found).tolist() == IMAGES.tolist()
    assert found.head(2).notes == (f"input 'x': {said}",)


def test_a_lone_array_of_another_name_is_taken_and_said() -> None:
    found = calibration({"images": IMAGES, "label": np.arange(5)}, model(), extra={"label"})
    assert read(found, "label").tolist() == [0, 1, 2, 3, 4]
    assert found.notes == ("input 'x': array 'images' in the data is taken for it",)


@pytest.mark.parametrize(
    ("to", "shape", "said"),
    [
        ((0, 2, 3, 1), ["N", 3, "H", "W"], r"its channels last .*\[samples, 3, H, W\] \(.transpose\(0, 3, 1, 2\) fits"),
        ((0, 1, 2, 3), ["N", 2, 2, 3], r"its channels first .* \(.transpose\(0, 2, 3, 1\) fits"),
        ((1, 2, 3, 0), ["N", 3, 2, 2], r"its samples last .* \(.transpose\(3, 0, 1, 2\) fits"),
    ],
)
def test_another_layout_is_named(to: tuple[int, ...], shape: list[int | str], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        calibration(IMAGES.transpose(to), model(shape))


def test_an_npy_file_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optimise_onnx.frontends.data.files._PIECE", 100)
    found = calibration(npy(tmp_path), model())
    assert [len(piece["x"]) for piece in found.source()] == [2, 2, 1]
    assert np.array_equal(read(found), IMAGES)


@pytest.mark.parametrize("cut", [0, 60, 200])
def test_an_npy_file_cut_short(cut: int, tmp_path: Path) -> None:
    path = npy(tmp_path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CalibrationError, match="cut short|takes 240 bytes, it holds"):
        calibration(path, model())


def test_one_array_for_several_inputs(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="holds one array without a name: wanted are 'x', 'z'"):
        calibration(npy(tmp_path), model(None, onnx.TensorProto.FLOAT, "z"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def one(): pass\ndef two(): pass\n", r"names no function: it holds one, two \(write .*s.py:one"),
        ("from math import sqrt\n", "it holds no function"),
        ("def one():\n    yield 3\n", "is no dict of numpy arrays"),
    ],
)
def test_scripts_that_name_no_function(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text(text)
    with pytest.raises(CalibrationError, match=said):
        calibration(tmp_path / "s.py", model())


def test_what_a_function_yields_may_be_single_samples() -> None:
    def made() -> Iterator[dict[str, np.ndarray]]:
        for image in IMAGES:
            yield {"x": image}

    assert np.array_equal(read(calibration(made, model())), IMAGES)
