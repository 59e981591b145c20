"""PyTorch: modules in memory and files, from what a user would have to a smaller model."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

import optimise_onnx
from optimise_onnx.frontends.given import Given
from optimise_onnx.frontends.load import load
from optimise_onnx.frontends.torch_files import opened
from optimise_onnx.ir.errors import InvalidModelError, LoweringError
from optimise_onnx.tools import outcome
from optimise_onnx.tools.cli import main

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")

NETWORK = '''
"""A network of two convolutions, in a file that can be imported."""

import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)

    def forward(self, image):
        return self.head(torch.relu(self.norm(self.stem(image))).mean((2, 3)))


def example():
    torch.manual_seed(0)
    return Network(), torch.zeros(1, 3, 8, 8)
'''


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Yield a folder that holds the network as a script, a program, a pickle and a state dict."""
    folder = tmp_path_factory.mktemp("torch")
    (folder / "some_network.py").write_text(NETWORK)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        from some_network import example

        network, image = example()
        batch = torch.export.Dim("batch")
        program = torch.export.export(network.eval(), (image.repeat(2, 1, 1, 1),), dynamic_shapes=({0: batch},))
        torch.export.save(program, folder / "program.pt2")
        torch.save(network, folder / "module.pt")
        torch.save(network.state_dict(), folder / "state.pth")
        yield folder


def shapes(source: object, **given: Any) -> dict[str, list[Any]]:
    """Read a model and return the sizes of its inputs, open ones as None."""
    graph, _ = load(source, given=Given(**given))
    return {t.name: [dim if isinstance(dim, int) else None for dim in t.shape or ()] for t in graph.inputs}


def refusal(source: object, **given: Any) -> str:
    """Read a model that must be refused and return the one line that is said."""
    with pytest.raises(InvalidModelError) as found:
        load(source, given=Given(**given))
    (line,) = str(found.value).splitlines()
    return line


def test_a_trusted_pickle_is_the_module(files: Path) -> None:
    assert type(opened(files / "module.pt", trust=True)).__name__ == "Network"


def test_a_module_becomes_smaller_and_takes_the_widths_back(files: Path) -> None:
    from some_network import example

    network, image = example()
    network.norm.momentum = None  # statistics of all batches so far
    network.train()(torch.randn(64, 3, 8, 8))
    data = {"image": np.random.default_rng(0).normal(size=(40, 3, 8, 8)).astype(np.float32)}
    result = optimise_onnx.compress(network, target="params=0.7x", example_inputs=image.numpy(), data=data, guard=False)
    assert result.report.after.parameters <= 0.7 * result.report.before.parameters
    assert network.training and network.norm.training and network.stem.out_channels == 8

    narrow = result.to_torch(network)
    width = narrow.stem.out_channels
    assert width < 8 and narrow.stem.bias is None
    assert narrow.norm.num_features == narrow.head.in_features == width
    given = torch.from_numpy(data["image"])
    wanted = narrow(given).detach()
    assert torch.allclose(narrow.train()(given), wanted, atol=0.3 * float(wanted.std()))  # statistics are about right
    narrow(given).square().sum().backward()
    assert all(each.grad is not None for each in narrow.parameters())

    class Other(type(network)):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.more = torch.nn.Linear(5, 5)

        def forward(self, image: Any) -> Any:
            return self.more(super().forward(image))

    with pytest.raises(LoweringError, match="no such layer for 'more'"):
        result.to_torch(Other())
    network.head.weight.data += 1  # the graph's weights count, not the module's
    assert torch.allclose(result.to_torch(network)(given), wanted, atol=1e-4)


def test_a_program_from_the_command_line(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.onnx"
    monkeypatch.setattr(outcome, "_SECONDS", 0.05)
    program = str(files / "program.pt2")
    assert main(["compress", program, "-o", str(out), "--target", "params=0.7x", "--no-guard", "-q"]) == 0
    assert shapes(out) == {"image": [None, 3, 8, 8]}


def test_a_batch_that_the_network_fixes_stays() -> None:
    class Fixed(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x.reshape(2, 12) * 2

    assert shapes(Fixed(), example_inputs=(torch.zeros(2, 3, 4),)) == {"x": [2, 3, 4]}


def test_a_pickle_is_not_read_without_trust(files: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return Path.touch, (tmp_path / "ran",)

    with (tmp_path / "bomb.pt").open("wb") as file:
        pickle.dump(Bomb(), file)
    torch.save(Bomb(), tmp_path / "zipped.pt")
    for path in (tmp_path / "bomb.pt", tmp_path / "zipped.pt", files / "module.pt"):
        assert "unpickling runs any code" in refusal(path) and "--trust" in refusal(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("torch.ops.aten.relu.default", "torch.os.system"),
        ("torch.ops.aten.relu.default", "torch.ops.aten.__class__"),
        ("Symbol('", "exec('"),
        ("positive=True", "positive=print(1)"),
    ],
)
def test_a_program_that_names_functions_of_others(files: Path, tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "program.pt2"
    with ZipFile(files / "program.pt2") as given, ZipFile(path, "w") as changed:
        for name in given.namelist():
            text = given.read(name)
            changed.writestr(name, text.replace(old.encode(), new.encode()) if "models/" in name else text)
    assert "which PyTorch would run" in refusal(path)


def test_what_is_missing_is_asked_for(files: Path) -> None:
    bare = refusal(files / "state.pth")
    assert "a state dict: 8 tensors" in bare and "script.py:function" in bare
    assert "--input-shape image:1,3,224,224" in refusal(files / "module.pt", trust=True)
    assert "no such file" in refusal(files / "nothing.pt2")


def test_what_cannot_be_exported_says_why() -> None:
    class Odd(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x.numpy().tolist()

    assert "PyTorch cannot export the module" in refusal(Odd(), example_inputs=torch.zeros(2, 2))
    assert "no arguments of the module" in refusal(Odd(), example_inputs={"y": np.zeros((2, 2))})
