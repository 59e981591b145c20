"""Files of samples that nobody should trust: what is not asked for is not opened, what is claimed is checked first."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from optimise_onnx.frontends.data.archive import arrays
from optimise_onnx.ir.errors import BudgetError, CalibrationError
from optimise_onnx.ir.memory import memory_limit


def npy(array: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.save(held, array)
    return held.getvalue()


def header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    held = io.BytesIO()
    np.lib.format.write_array_header_1_0(held, {"descr": dtype, "fortran_order": False, "shape": shape})
    return held.getvalue()


def read(folder: Path, *names: str, rows: int | None = None, **members: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(folder / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return arrays(folder / "a.npz", lambda _: {name: name for name in names}, lambda _name, _axes: rows)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(5, 3, 2), (4,), (), (0, 3), (5, 0)])
def test_arrays_are_read_as_numpy_reads_them(order: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    array = np.asarray(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), order=order)
    assert read(tmp_path, "x", x=npy(array))["x"].tolist() == array.tolist()


def test_only_the_first_rows_are_unpacked(tmp_path: Path) -> None:
    array = np.arange(12).reshape(6, 2)
    cut = npy(array)
    found = read(tmp_path, "x", rows=2, x=cut)["x"]
    assert found.tolist() == [[0, 1], [2, 3]] and found.base is None
    assert read(tmp_path, "x", rows=9, x=cut)["x"].tolist() == array.tolist()


def test_what_is_not_asked_for_is_not_opened(tmp_path: Path) -> None:
    assert read(tmp_path, "x", x=npy(np.zeros(3)), more=b"no array at all")["x"].shape == (3,)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (header((10**12,)) + bytes(8), "takes 4,000,000,000,000 bytes, it holds 8"),
        (header((2,)) + bytes(4), "takes 8 bytes, it holds 4"),
        (header((2,)) + bytes(12), "it holds 12"),
        (b"only text", "not an .npz file of plain arrays"),
        (header((1,), "|O") + bytes(8), "plain arrays"),
        (b"\x93NUMPY\x09\x00", "plain arrays"),
        (header((2**27,)) + bytes(2**29), "packed too tightly to be data"),
    ],
)
def test_members_that_are_not_what_they_say(content: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=said):
        read(tmp_path, "x", x=content)


def test_an_encrypted_member(tmp_path: Path) -> None:
    read(tmp_path, "x", x=npy(np.zeros(3)))
    whole = bytearray((tmp_path / "a.npz").read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        whole[whole.index(mark) + offset] |= 1
    (tmp_path / "a.npz").write_bytes(whole)
    with pytest.raises(CalibrationError, match="array 'x' in .* is encrypted"):
        arrays(tmp_path / "a.npz", lambda _: {"x": "x"})


def test_an_array_beyond_the_memory(tmp_path: Path) -> None:
    with memory_limit("10kB"), pytest.raises(BudgetError, match="array 'x' in .* needs too much memory"):
        read(tmp_path, "x", x=npy(np.random.default_rng(0).normal(size=2000)))
