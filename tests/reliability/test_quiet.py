"""What reaches the user's terminal: nothing of libraries, no cache that fails a run, no name that moves it."""

import os
import shutil
from itertools import cycle
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx.ir.cache_folder import default_folder
from optimise_onnx.ir.names import printable
from optimise_onnx.passes.cache import DiskCache, MemoryCache

from .commands import Place, compress

SCRIPT = """
import logging, os, warnings
import numpy as np

def samples():
    warnings.warn("python speaks")
    np.float64(1) / np.float64(0)
    logging.getLogger("library").warning("a logger speaks")
    os.write(2, b"native code speaks\\n")
    yield {"x": np.random.default_rng(0).standard_normal((16, 3, 8, 8)).astype(np.float32)}
"""
SPEAKS = ("python speaks", "divide by zero", "a logger speaks", "native code speaks")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A small network, and samples from a script on whose way much is said."""
    made = Place.at(tmp_path)
    b = Builder("quiet")
    onnx.save(b.model(b.head(b.conv_bn_relu(b.input("x", ["N", 3, 8, 8]), 8))), made.work / "in.onnx")
    (made.work / "data.py").write_text(SCRIPT)
    return made


def test_libraries_do_not_speak_to_the_user_unless_debugging(place: Place) -> None:
    code, _, complaint = place.run(*compress("--data", "data.py:samples"))
    assert (code, complaint) == (0, "")
    code, _, complaint = place.run(*compress("--data", "data.py:samples", "-vv"))
    assert code == 0 and all(text in complaint for text in SPEAKS)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def garble(path: Path) -> None:
    path.write_bytes(b"\x00garbled\xff" * 100)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def other(path: Path) -> None:
    """Take another entry's content."""
    entries = sorted(each for each in path.parent.iterdir() if each.suffix == path.suffix and each != path)
    shutil.copy(entries[0], path) if entries else garble(path)


def test_a_broken_cache_is_one_note(place: Place) -> None:
    asked = compress("--data", "data.py:samples")
    assert place.run(*asked)[0] == 0
    first = (place.work / "out.onnx").read_bytes()
    whole = shutil.copytree(place.cache, place.work.parent / "whole")
    for damages in ((cut, folder), (garble, pipe), (empty, other)):
        shutil.rmtree(place.cache)
        shutil.copytree(whole, place.cache)
        entries = sorted(path for path in place.cache.rglob("*") if path.is_file())
        assert len(entries) >= len(damages)
        for path, damage in zip(entries, cycle(damages), strict=False):
            damage(path)
        code, _, complaint = place.run(*asked)
        assert code == 0 and complaint.startswith("note: ") and complaint.count("\n") == 1, damages
        assert (place.work / "out.onnx").read_bytes() == first
    for path in place.cache.glob("*.entry"):
        cut(path) if path.is_file() else None
    assert place.run(*asked, "-q")[2] == ""


def test_a_cache_that_is_a_file_is_one_note(place: Place) -> None:
    place.cache.rmdir()
    place.cache.write_text("in the way")
    code, _, complaint = place.run(*compress("--data", "data.py:samples"))
    assert code == 0 and complaint.startswith("note: the cache") and complaint.count("\n") == 1


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    pwd = pytest.importorskip("pwd")

    def unknown(_number: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("OPTIMISE_ONNX_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    said: list[str] = []
    assert default_folder() is None
    assert isinstance(DiskCache.at(None, said.append), MemoryCache)
    assert len(said) == 1 and "no home folder" in said[0]
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_folder() is None


EVIL = "\x1b[2J\r\nevil\x07\u202e[/bold]:smile:\x9b|"


def test_names_do_not_move_the_terminal(place: Place) -> None:
    weight = onnx.numpy_helper.from_array(feeds(onnx.load(place.work / "in.onnx"), 0, 4)["x"].reshape(-1, 3)[:3], "w")
    nodes = [helper.make_node("MatMul", [EVIL, "w"], ["h"], EVIL), helper.make_node("Relu", ["h"], ["y" + EVIL])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in (EVIL, "y" + EVIL)]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, place.work / "in\x1b[2J.onnx")
    for command in (
        ("analyse", "in\x1b[2J.onnx"),
        ("bench", "in\x1b[2J.onnx", "--seconds", "0", "--profile"),
        ("analyse", "in\x1b[2J.onnx", "--why", EVIL),
        ("verify", "in\x1b[2J.onnx", "in\x1b[2J.onnx"),
        ("analyse", "in\x1b[2J.none"),
        ("run", "in\x1b[2J.onnx", "-o", "o\x1b[2J", "--passes", "fold-constants", "--print-after"),
    ):
        code, printed, complaint = place.run(*command)
        assert code in (0, 2, 3), complaint
        assert not set("\x1b\r\x07\u202e\x9b") & set(printed + complaint), command
        assert complaint.count("\n") <= 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("conv1/weight", "conv1/weight"),
        ("größe 宽", "größe 宽"),
        ("a\x1b[2Jb\x7f", "a\\x1b[2Jb\\x7f"),
        ("a\tb\nc", "a\\tb\\nc"),
        ("\u202eabc\u2028", "\\u202eabc\\u2028"),
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
        ("\ud800", "\\ud800"),
    ],
)
def test_printable(name: str, shown: str) -> None:
    assert printable(name) == shown
    assert printable("a\nb\t", "\n") == "a\nb\\t"


def test_names_of_files_that_are_no_text(place: Place) -> None:
    name = os.fsdecode(b"caf\xe9.onnx")
    shutil.copy(place.work / "in.onnx", place.work / name)
    code, printed, complaint = place.run("run", name, "-o", "o" + name, "--passes", "fold-constants")
    assert (code, complaint) == (0, "") and "wrote ocaf\\xe9.onnx" in printed
    code, printed, complaint = place.run("analyse", "no" + name)
    assert code == 3 and "nocaf\\xe9.onnx" in complaint


def test_a_reader_that_has_gone_does_not_end_the_work(place: Place) -> None:
    with place.started(*compress()) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 0
    assert place.left() >= {"out.onnx", "r.json"}
