"""Whatever is wrong with the input: the right exit code, one line on standard error, nothing written."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from zoo import ZOO

from .conftest import Run, network

Spoil = Callable[[Path], Any]
COMPRESS = ("compress", "in.onnx", "-o", "out.onnx", "--target", "macs=0.5x", "--report", "r.json")


def truncated(folder: Path) -> None:
    whole = (folder / "in.onnx").read_bytes()
    (folder / "in.onnx").write_bytes(whole[: len(whole) // 2])


def no_onnx(folder: Path) -> None:
    (folder / "in.onnx").write_text("hello")


def empty(folder: Path) -> None:
    (folder / "in.onnx").write_bytes(b"")


def missing(folder: Path) -> None:
    (folder / "in.onnx").unlink()


def a_folder(folder: Path) -> None:
    (folder / "in.onnx").unlink()
    (folder / "in.onnx").mkdir()


def opset(version: int) -> Spoil:
    def spoil(folder: Path) -> None:
        model = onnx.load(folder / "in.onnx")
        model.opset_import[0].version = version
        onnx.save(model, folder / "in.onnx")

    return spoil


def external_data_gone(folder: Path) -> None:
    model = onnx.load(folder / "in.onnx")
    onnx.save(model, folder / "in.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    (folder / "weights.bin").unlink()


def weights(value: float) -> Spoil:
    def spoil(folder: Path) -> None:
        model = onnx.load(folder / "in.onnx")
        tensor = next(t for t in model.graph.initializer if len(t.dims) > 1)
        array = numpy_helper.to_array(tensor).copy()
        array.flat[0] = value
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        onnx.save(model, folder / "in.onnx")

    return spoil


def bad_attribute(folder: Path) -> None:
    model = onnx.load(folder / "in.onnx")
    model.graph.node[0].attribute.append(helper.make_attribute("no_such_attribute", 1))
    onnx.save(model, folder / "in.onnx")


def cycle(folder: Path) -> None:
    model = onnx.load(folder / "in.onnx")
    model.graph.node[0].input[0] = model.graph.output[0].name
    onnx.save(model, folder / "in.onnx")


@pytest.mark.parametrize(
    "spoil",
    [
        truncated,
        no_onnx,
        empty,
        missing,
        a_folder,
        opset(6),
        opset(9999),
        external_data_gone,
        weights(np.nan),
        bad_attribute,
        cycle,
    ],
)
@pytest.mark.parametrize("command", ["compress", "analyse", "run"])
def test_models_that_are_refused(spoil: Spoil, command: str, folder: Path, run: Callable[..., Run]) -> None:
    spoil(folder)
    arguments = {
        "compress": COMPRESS,
        "analyse": ("analyse", "in.onnx", "--json", "r.json"),
        "run": ("run", "in.onnx", "-o", "out.onnx", "--passes", "fold-constants"),
    }
    before = sorted(folder.iterdir())
    found = run(*arguments[command])
    assert (found.code, found.out) == (3, "")
    assert found.error
    assert sorted(folder.iterdir()) == before


def change(**arrays: Any) -> Spoil:
    """Change arrays of the data; None takes one out."""

    def spoil(folder: Path) -> None:
        with np.load(folder / "data.npz") as stored:
            held = {name: stored[name] for name in stored.files}
        (name,) = (name for name in held if name != "label")
        for key, make in arrays.items():
            held[name if key == "x" else key] = make(held[name])
        np.savez(folder / "data.npz", **{key: array for key, array in held.items() if array is not None})

    return spoil


def set_nan(x: np.ndarray) -> np.ndarray:
    x[0, 0] = np.nan
    return x


def cut_data(folder: Path) -> None:
    whole = (folder / "data.npz").read_bytes()
    (folder / "data.npz").write_bytes(whole[:100])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (change(x=lambda x: None, image=lambda x: x), "has no array"),
        (change(more=lambda x: x), "'more' that is no input"),
        (change(label=lambda x: None), "has no array 'label'"),
        (change(x=lambda x: x[:, :2]), "wrong shape"),
        (change(x=lambda x: x[0]), "equally many|wrong shape"),
        (change(x=lambda x: x.astype(np.complex64)), "is complex64"),
        (change(x=set_nan), "holds NaN or Inf"),
        (change(x=lambda x: x[:0], label=lambda x: np.zeros(0)), "holds 0 samples"),
        (cut_data, "cut short"),
        (lambda folder: (folder / "data.npz").unlink(), "no such file"),
    ],
)
def test_data_that_are_refused(spoil: Spoil, said: str, folder: Path, run: Callable[..., Run]) -> None:
    spoil(folder)
    before = sorted(folder.iterdir())
    found = run(*COMPRESS, "--data", "data.npz", "--labels", "label")
    assert (found.code, found.out) == (3, "")
    assert re.search(said, found.error), found.error
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--target", "macs=10"), 4, "macs=10"),
        (("--target", "macs=0.5x", "--max-ratio", "0.01"), 4, "cannot be reached"),
        (("--target", "half"), 2, "cannot read the target 'half'"),
        (("--criterion", "obss"), 2, "obss"),
        (("--keep", "no_such_layer"), 2, "--keep-nodes 'no_such_layer' matches no node and no tensor"),
        (("--keep", "conv", "--keep", "no_such_layer"), 2, "'no_such_layer' matches no node and no tensor"),
        (("--keep", "("), 2, "--keep-nodes '(' is no regular expression"),
        (("--keep-type", "Convv"), 2, "--keep-types 'Convv' matches no node"),
        (("-o", "in.onnx"), 2, "the output 'in.onnx' is the input"),
        (("-o", "./in.onnx"), 2, "is the input"),
        (("-o", "missing/out.onnx"), 2, "does not exist"),
        (("--report", "in.onnx"), 2, "is the input"),
        (("--report", "out.onnx"), 2, "is the input"),
        (("--report", "report.txt"), 2, "says neither a page nor JSON"),
        (("--json", "-"), 2, "'-' is no file"),
        (("--per", "macs"), 2, "give allocation=greedy too"),
        (("--samples", "4"), 2, "need data"),
        (("--labels", "label"), 2, "need data"),
        (("--fit-samples", "4"), 2, "so they need data"),
        (("--forms", "stretch"), 2, "so they need data"),
        (("--forms", "bigger"), 2, "no family of forms is called"),
        (("--align", "0"), 2, "--align"),
        (("--max-ratio", "1.5"), 2, "max_ratio=1.5 is no share"),
        (("--seed", "x"), 2, "--seed"),
        (("--no-such-option",), 2, "--no-such-option"),
        (("extra.onnx",), 2, "extra.onnx"),
        (("--metric", "nowhere.py:f", "--data", "data.npz", "--labels", "label"), 3, "nowhere.py"),
    ],
)
def test_wishes_that_are_refused(
    arguments: tuple[str, ...], code: int, said: str, folder: Path, run: Callable[..., Run]
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    found = run(*COMPRESS, *arguments)
    assert (found.code, found.out) == (code, "")
    assert said in found.error
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_link_to_the_input_is_no_output(folder: Path, run: Callable[..., Run]) -> None:
    (folder / "link.onnx").symlink_to("in.onnx")
    found = run(*COMPRESS, "-o", "link.onnx")
    assert (found.code, found.error) == (2, "the output 'link.onnx' is the input 'in.onnx' (choose another name)")


def test_a_read_only_folder_is_found_before_any_work(run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("optimise_onnx.tools.files.try_place", refuse)  # root may write anywhere, so it is simulated
    monkeypatch.setattr("optimise_onnx.tools.api.compress_with", lambda *_, **__: pytest.fail("work was done"))
    found = run(*COMPRESS)
    assert (found.code, found.out) == (2, "")
    assert found.error == "cannot write into the folder of 'out.onnx': Permission denied"


def test_strict_refuses_operators_without_a_rule(folder: Path, run: Callable[..., Run]) -> None:
    onnx.save(ZOO["loop"]() if "loop" in ZOO else ZOO["if_branches"](), folder / "in.onnx")
    found = run("compress", "in.onnx", "-o", "out.onnx", "--target", "params=0.9x", "--strict")
    assert (found.code, found.out) == (6, "")
    assert "has no rule" in found.error
    assert not (folder / "out.onnx").exists()


def test_verification_that_fails(folder: Path, run: Callable[..., Run]) -> None:
    weights(3.0)(folder)
    (folder / "in.onnx").rename(folder / "changed.onnx")
    onnx.save(network(), folder / "in.onnx")
    found = run("verify", "in.onnx", "changed.onnx")
    assert found.code == 5
    assert "differs by" in found.error and "no" in found.out
    onnx.save(ZOO["mlp"](), folder / "changed.onnx")
    found = run("verify", "in.onnx", "changed.onnx")
    assert (found.code, found.out) == (5, "")
    assert "the inputs of the model changed" in found.error


def test_a_model_without_any_input_and_other_oddities(folder: Path, run: Callable[..., Run]) -> None:
    constant = numpy_helper.from_array(np.ones(3, np.float32), "c")
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])
    node = helper.make_node("Relu", ["c"], ["y"])
    graph = helper.make_graph([node], "g", [], [output], [constant])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "in.onnx")
    found = run(*COMPRESS)
    assert found.code in (0, 4), found.err
