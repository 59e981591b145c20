"""Outputs are checked first, and written whole or not at all, all or none."""

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from optimise_onnx.ir import writing
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.tools.files import check_output, make_folder, write


def refuse(*_args: Any, **_options: Any) -> None:
    raise OSError(30, "Read-only file system")


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_free_name_in_a_folder_is_fine(tmp_path: Path) -> None:
    check_output(tmp_path / "out.onnx", [tmp_path / "in.onnx"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("link", ["same", "dotted", "symlink", "hardlink", "not there"])
def test_the_output_is_not_the_input(link: str, tmp_path: Path) -> None:
    source, output = tmp_path / "in.onnx", tmp_path / "out.onnx"
    if link != "not there":
        source.write_bytes(b"model")
    if link in ("same", "not there"):
        output = source
    if link == "dotted":
        output = tmp_path / ".." / tmp_path.name / "in.onnx"
    if link == "symlink":
        output.symlink_to(source)
    if link == "hardlink":
        output.hardlink_to(source)
    with pytest.raises(UsageError, match="is the input"):
        check_output(output, [source])


def test_the_output_is_no_part_of_an_input(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text("")
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "0.npz", x=np.ones(3))
    weight = onnx.numpy_helper.from_array(np.ones(2000, np.float32), "w")
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [weight]))
    onnx.save(model, tmp_path / "in.onnx", save_as_external_data=True, location="out.onnx.data")
    for output, source in (
        ("data.py", f"{tmp_path / 'data.py'}:samples"),
        ("data/0.npz", tmp_path / "data"),
        ("out.onnx.data", tmp_path / "in.onnx"),
        ("out.onnx", tmp_path / "in.onnx"),  # its own weights would come to lie there
    ):
        with pytest.raises(UsageError, match="belongs to the input"):
            check_output(tmp_path / output, [source])
    check_output(tmp_path / "data" / "out.onnx", [tmp_path / "data", tmp_path / "in.onnx"])


def test_the_folder_must_exist_and_the_name_be_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the folder of .* does not exist"):
        check_output(tmp_path / "missing" / "out.onnx")
    with pytest.raises(UsageError, match="is a folder"):
        check_output(tmp_path)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    socket.socket(socket.AF_UNIX).bind(str(path))


def device(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))


NODES: list[tuple[Callable[[Path], None], str]] = [(pipe, "a pipe"), (listening, "a socket"), (device, "a device")]


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize(("make", "called"), NODES)
def test_only_files_are_written(
    make: Callable[[Path], None], called: str, linked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if make is device and os.geteuid() != 0:
        pytest.skip("only root makes devices")
    monkeypatch.chdir(tmp_path)  # the name of a socket may not be long
    node, output = Path("node"), Path("link" if linked else "node")
    make(node)
    if linked:
        output.symlink_to(node)
    with pytest.raises(UsageError, match=f"is {called}"):
        check_output(output)
    assert not stat.S_ISREG(node.stat().st_mode)


def test_names_that_can_be_none(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_bytes(b"")
    for name in ("o" * 300, "loop", "file/out.onnx", "a\0b"):
        with pytest.raises(UsageError, match="cannot be written|does not exist"):
            check_output(tmp_path / name)
    longest = tmp_path / ("o" * 250 + ".onnx")
    check_output(longest)
    write({longest: [b"new"]})
    assert longest.read_bytes() == b"new"


def test_a_read_only_folder_is_found_out_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", refuse)  # root may write anywhere, so it is simulated
    with pytest.raises(UsageError, match="cannot write into the folder of .*: Read-only file system"):
        check_output(tmp_path / "out.onnx")


def test_a_read_only_file_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out.onnx").write_bytes(b"old")
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UsageError, match="cannot overwrite .*: Read-only file system"):
        check_output(tmp_path / "out.onnx")


@pytest.fixture(params=["unnamed", "named"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """File systems that know files without a name, and others."""
    if request.param == "named":
        monkeypatch.setattr(writing, "_UNNAMED", 0)
    yield


@pytest.mark.usefixtures("system")
def test_writing_replaces_the_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    check_output(tmp_path / "out")
    write({tmp_path / "out": [b"ne", b"w"], tmp_path / "other": [b"too"]})
    assert content(tmp_path) == {"out": b"new", "other": b"too"}


@pytest.mark.usefixtures("system")
def test_the_mode_stays_and_that_of_a_new_file_is_the_users(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    (tmp_path / "out").chmod(0o640)
    before = os.umask(0o027)
    try:
        write({tmp_path / "out": [b"new"], tmp_path / "other": [b"too"]})
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("out", "other")] == [0o640, 0o640]
    write({tmp_path / "out": [b"again"]})
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


@pytest.mark.parametrize("there", [False, True])
def test_links_are_written_through(there: bool, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "target", tmp_path / "link"
    if there:
        target.write_bytes(b"old")
    link.symlink_to(Path("far/target"))
    check_output(link)
    write({link: [b"new"]})
    assert link.is_symlink() and content(target.parent) == {"target": b"new"}


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_files_and_nothing_else(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "second").write_bytes(b"old")
    calls: list[object] = []

    def second_fails(real: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any) -> Any:
            calls.append(given)
            if len(calls) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*given)

        return called

    owner = os if step == "fsync" else Path
    monkeypatch.setattr(owner, step, second_fails(getattr(owner, step)))
    with pytest.raises(UsageError, match="cannot write .*first' and .*second': No space left on device"):
        write({tmp_path / "first": [b"new"], tmp_path / "second": [b"new"]})
    assert content(tmp_path) == {"second": b"old"}


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    make_folder(tmp_path / "a")
    make_folder(tmp_path / "a")
    (tmp_path / "b").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot make the folder"):
        make_folder(tmp_path / "b")
