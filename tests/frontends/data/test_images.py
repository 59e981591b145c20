"""Folders of images become what the network takes, as --preprocess says; what is missing or wrong is told."""

import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.demo import load_samples, paths
from optimise_onnx.frontends.calibration import calibration
from optimise_onnx.frontends.data import images
from optimise_onnx.frontends.data.preprocess import Preprocess
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.errors import CalibrationError, UsageError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.tools.doubts import doubts

Image = pytest.importorskip("PIL.Image")
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 6, 3), np.uint8)


def model(shape: list[int | str] | None = None, kind: int = onnx.TensorProto.FLOAT) -> Graph:
    """y = x; x (N, 3, 4, 6) unless said."""
    x, y = (helper.make_tensor_value_info(name, kind, shape or ["N", 3, 4, 6]) for name in "xy")
    return Graph.of(helper.make_model(helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images 0 to 3 in folder `b`, 4 and 5 in folder `a/deep`."""
    for number, pixels in enumerate(PIXELS):
        place = tmp_path / ("b" if number < 4 else "a/deep")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


ORDER = [4, 0, 5, 1, 2, 3]  # every folder has its turn


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("raw", lambda x: x),
        ("0-1", lambda x: x / 255),
        ("-1-1", lambda x: x / 127.5 - 1),
        ("imagenet", lambda x: (x / 255 - (0.485, 0.456, 0.406)) / np.array((0.229, 0.224, 0.225))),
        ("mean=0.5,std=0.25", lambda x: (x / 255 - 0.5) / 0.25),
        ("mean=103,116,123,std=1,order=bgr", lambda x: x[..., ::-1] - (103, 116, 123)),
        (
            "imagenet,order=bgr",
            lambda x: ((x / 255 - (0.485, 0.456, 0.406)) / np.array((0.229, 0.224, 0.225)))[..., ::-1],
        ),
        ("raw,order=bgr", lambda x: x[..., ::-1]),
    ],
)
def test_pixels_become_numbers(text: str, number: object, folder: Path) -> None:
    (batch,) = calibration(folder, model(), preprocess=text).batches(9)
    wanted = number(PIXELS[ORDER].astype(np.float64)).transpose(0, 3, 1, 2)  # type: ignore[operator]
    assert batch["x"].dtype == np.float32 and np.allclose(batch["x"], wanted, atol=1e-5)


def test_classes_are_folders_in_the_order_of_their_names(folder: Path) -> None:
    found = calibration(folder, model(), extra={"folder"}, preprocess="raw", samples=5)
    (batch,) = found.batches(9)
    assert batch["folder"].tolist() == [0, 1, 0, 1, 1]
    assert batch["x"][:, 0, 0, 0].tolist() == PIXELS[ORDER[:5], 0, 0, 0].tolist()


@pytest.mark.parametrize(
    ("shape", "kind", "text", "wanted"),
    [
        (["N", 4, 6, 3], "FLOAT", "raw", (6, 4, 6, 3)),
        (["N", 3, 4, 6], "UINT8", "raw", (6, 3, 4, 6)),
        (["N", 1, 4, 6], "FLOAT", "imagenet", (6, 1, 4, 6)),
        (["N", "C", "H", "W"], "FLOAT", "raw,layout=nhwc,size=5x7", (6, 5, 7, 3)),
        (["N", "C", "H", "W"], "FLOAT", "imagenet", (6, 3, 224, 224)),
        (["N", "C", "H", "W"], "FLOAT", "raw", (6, 3, 4, 6)),
        (["N", 3, 2, 2], "FLOAT", "imagenet,crop=0.5", (6, 3, 2, 2)),
    ],
)
def test_layouts_and_sizes(shape: list[int | str], kind: str, text: str, wanted: tuple[int, ...], folder: Path) -> None:
    (batch,) = calibration(folder, model(shape, getattr(onnx.TensorProto, kind)), preprocess=text).batches(9)
    assert batch["x"].shape == wanted and len(np.unique(batch["x"])) > 9


def test_the_middle_is_cut_out(tmp_path: Path) -> None:
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 2:6] = 200
    Image.fromarray(pixels).save(tmp_path / "a.PNG")
    (batch,) = calibration(tmp_path, model(["N", 3, 4, 4]), preprocess="raw").batches(1)
    assert batch["x"].tolist() == np.full((1, 3, 4, 4), 200).tolist()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("imagnet", "cannot read --preprocess 'imagnet': 'imagnet' is not known .*imagenet, 0-1"),
        ("mean=1,2", "mean is one number, or one for red, green and blue"),
        ("std=0", "std is one number above 0"),
        ("size=big", "size is a number of pixels, or HEIGHTxWIDTH"),
        ("crop=2", "crop is a share"),
        ("raw,order=gbr", "order is rgb or bgr"),
        ("", "'' is not known"),
    ],
)
def test_texts_that_mean_nothing(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Preprocess.parse(text)


@pytest.mark.parametrize(
    ("shape", "extra", "text", "said"),
    [
        (None, "", None, "nobody says how pixels become numbers .add --preprocess: write imagenet"),
        (None, "label", "raw", "'label' is in no image .--labels folder"),
        (["N", 12], "", "raw", r"input 'x' takes no images: it takes \[samples, 12\]"),
        (["N", 7, 4, 6], "", "raw", "it has 7 channels"),
        (None, "", "raw,size=5", r"wrong shape: \[6, 3, 5, 5\]"),
    ],
)
def test_images_that_do_not_suit(
    shape: list[int | str] | None, extra: str, text: str | None, said: str, folder: Path
) -> None:
    with pytest.raises(CalibrationError, match=said):
        calibration(folder, model(shape), extra={extra} - {""}, preprocess=text)


def test_labels_without_folders(tmp_path: Path) -> None:
    Image.fromarray(PIXELS[0]).save(tmp_path / "a.png")
    with pytest.raises(CalibrationError, match="lie in no folders by class"):
        calibration(tmp_path, model(), extra={"folder"}, preprocess="raw")


def test_a_file_that_is_no_image(folder: Path) -> None:
    (folder / "b" / "9.jpg").write_bytes(b"\xff\xd8 cut")
    with pytest.raises(CalibrationError, match="cannot read '.*9.jpg': it is no image"):
        calibration(folder, model(), preprocess="raw")


def test_what_is_no_folder_of_images_is_not_preprocessed() -> None:
    with pytest.raises(UsageError, match="preprocess is for folders of images"):
        calibration({"x": np.zeros((1, 3, 4, 6), np.float32)}, model(), preprocess="raw")


def most(folder: Path, graph: Graph) -> int:
    """Return the most bytes that reading a folder of images takes at once."""
    tracemalloc.start()
    found = calibration(folder, graph, preprocess="0-1")
    assert sum(len(batch["x"]) for batch in found.batches(8)) == found.samples
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_many_images_take_no_more_memory_than_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_HELD", 10**6)
    graph, pixels, peaks = model(["N", 3, 200, 200]), np.zeros((150, 200, 3), np.uint8), []
    for last in (30, 90):
        for number in range(last):
            Image.fromarray(pixels).save(tmp_path / f"{number}.jpg")
        peaks.append(most(tmp_path, graph))
    assert peaks[1] < 1.1 * peaks[0] < 90 * 4 * 3 * 200 * 200


def digits(folder: Path, count: int = 40) -> Path:
    for number, image in enumerate(load_samples().calibration[:count, 0]):
        Image.fromarray((255 * image).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0-1", ""),
        ("mean=0,std=1", ""),
        ("mean=0.02,std=0.98,crop=0.9", ""),
        ("raw", "with --preprocess 0-1"),
        ("-1-1", "with --preprocess 0-1"),
        ("mean=-1,std=1", "with --preprocess 0-1"),
        ("mean=0,std=65025", "with --preprocess 0-1"),
    ],
)
def test_preprocessing_that_looks_wrong_is_told(text: str, said: str, tmp_path: Path) -> None:
    graph = load(paths()[0])[0]
    found = doubts(graph, OrtRunner(1), calibration(digits(tmp_path), graph, preprocess=text))
    assert found == () if not said else said in found[0]


def test_few_images_and_other_data_raise_no_doubt(tmp_path: Path) -> None:
    graph = load(paths()[0])[0]
    assert doubts(graph, OrtRunner(1), calibration(digits(tmp_path, 10), graph, preprocess="raw")) == ()
    assert doubts(graph, OrtRunner(1), calibration(load_samples().calibration, graph)) == ()


def test_outputs_that_never_move_are_told(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 1, 8, 8])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 64])
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("Mul", ["f", "zero"], ["y"]),
    ]
    zero = helper.make_tensor("zero", onnx.TensorProto.FLOAT, [], [0.0])
    opsets = [helper.make_opsetid("", 17)]
    graph = Graph.of(
        helper.make_model(helper.make_graph(nodes, "g", [x], [y], [zero]), opset_imports=opsets, ir_version=8)
    )
    (said,) = doubts(graph, OrtRunner(1), calibration(digits(tmp_path), graph, preprocess="0-1"))
    assert "nearly the same for all of them" in said


def test_grey_values_of_16_bits_are_scaled_not_cut_off(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 24).astype(np.uint16).reshape(4, 6)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    found = calibration(tmp_path, model(["N", 1, 4, 6]), preprocess="0-1")
    (batch,) = found.batches(1)
    np.testing.assert_allclose(batch["x"][0, 0], ramp / 65535, atol=1 / 255)


def test_floats_are_no_pixels(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 6), np.float32)).save(tmp_path / "depth.tiff")
    (tmp_path / "depth.tiff").rename(tmp_path / "depth.png")
    with pytest.raises(CalibrationError, match="cannot read"):
        calibration(tmp_path, model(), preprocess="0-1")
