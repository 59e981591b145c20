"""Outputs are checked first and written whole or not at all."""

import tempfile
from pathlib import Path
from typing import Any

import pytest

from optimise_onnx.ir.errors import UsageError
from optimise_onnx.tools.files import check_output, make_folder, write


def refuse(*_args: Any, **_options: Any) -> None:
    raise OSError(30, "Read-only file system")


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


def test_the_folder_must_exist_and_the_name_be_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the folder of .* does not exist"):
        check_output(tmp_path / "missing" / "out.onnx")
    with pytest.raises(UsageError, match="is a folder"):
        check_output(tmp_path)


def test_a_read_only_folder_is_found_out_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)  # root may write anywhere, so it is simulated
    with pytest.raises(UsageError, match="cannot write into the folder of .*: Read-only file system"):
        check_output(tmp_path / "out.onnx")


def test_writing_replaces_the_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    write(tmp_path / "out", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").write_bytes(b"old")
    monkeypatch.setattr(Path, step, refuse)
    with pytest.raises(UsageError, match="cannot write .*: Read-only"):
        write(tmp_path / "out", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    make_folder(tmp_path / "a")
    make_folder(tmp_path / "a")
    (tmp_path / "b").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot make the folder"):
        make_folder(tmp_path / "b")
