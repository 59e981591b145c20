"""Commands killed at some moments, two at once, a full disk: the old files or the new ones, and nothing else."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest
from zoo.builder import Builder

from optimise_onnx.ir import scratch as module
from optimise_onnx.ir.scratch import scratch

from .commands import Place, compress

PAGE = 4096
KILLED = Path(__file__).parents[2] / "benchmarks" / "killed.py"


def test_killed_ended_and_side_by_side() -> None:
    words = [sys.executable, str(KILLED), "--moments", "3", "--pairs", "1", "--seed", "3"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SIGTERM: code 130, old files" in done.stdout and "SIGKILL: code -9, old files" in done.stdout


def network(width: int) -> onnx.ModelProto:
    b = Builder("full")
    return b.model(b.head(b.conv_bn_relu(b.conv_bn_relu(b.input("x", ["N", 3, 8, 8]), width), width)))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.at(tmp_path)


@pytest.mark.parametrize(("width", "too_large"), [(96, "out.onnx"), (8, "r.json")])
def test_a_full_disk(place: Place, width: int, too_large: str) -> None:
    """Files above a limit of some KiB cannot be written: the model of a wide network, the report of a narrow one."""
    model = network(width)
    onnx.save(model, place.work / "in.onnx")
    long = "|nothing is called so" * (1500 if too_large == "r.json" else 0)  # the report says what was asked for
    arguments = compress("--keep-nodes", model.graph.node[0].name + long, "--no-cache")
    assert place.run(*arguments)[0] == 0
    sizes = {name: (place.work / name).stat().st_size for name in ("out.onnx", "r.json")}
    limit = sum(sizes.values()) // 2 // 512
    assert max(sizes, key=lambda name: sizes[name]) == too_large
    for old in (True, False):
        for name in sizes:
            (place.work / name).write_text("old") if old else (place.work / name).unlink()
        before = place.left()
        script = f'ulimit -f {limit}; exec "$@"'
        done = subprocess.run(
            ["sh", "-c", script, "sh", sys.executable, "-m", "optimise_onnx", *arguments], cwd=place.work,
            env=os.environ | {"TMPDIR": str(place.temporary)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert done.stderr == "error: cannot write 'out.onnx' and 'r.json': File too large\n"
        assert place.left() == before
        assert not old or {(place.work / name).read_text() for name in sizes} == {"old"}


@pytest.mark.parametrize("fits", ["nothing", "the model"])
def test_a_small_file_system(place: Place, fits: str) -> None:
    onnx.save(network(24), place.work / "in.onnx")
    disk = place.work / "disk"
    disk.mkdir()
    arguments = compress(output="disk/out.onnx", report="disk/r.json")
    assert place.run(*arguments)[0] == 0
    pages = [-(-(disk / name).stat().st_size // PAGE) for name in ("out.onnx", "r.json")]
    size = PAGE * (pages[0] if fits == "nothing" else sum(pages))  # one page less than with the old file
    mount = shutil.which("mount") or "mount"
    if subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "none", disk], capture_output=True).returncode:
        pytest.skip("only root mounts file systems")
    try:
        (disk / "out.onnx").write_text("old")
        code, _, complaint = place.run(*arguments)
        assert (code, complaint.count("\n")) == (2, 1) and "No space left on device" in complaint
        assert {path.name: path.read_text() for path in disk.iterdir()} == {"out.onnx": "old"}
    finally:
        subprocess.run(["umount", disk], check=True)


def test_what_a_killed_run_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    module._sweep.cache_clear()
    with scratch() as held:
        abandoned, young, foreign = (tmp_path / f"{name}x" for name in (module._PREFIX, module._PREFIX + "y", "other"))
        for folder in (abandoned, young, foreign):
            folder.mkdir()
            (folder / "file").write_text("")
        for folder in (abandoned, held, foreign):
            os.utime(folder, (time.time() - 3600,) * 2)
        module._sweep.cache_clear()
        with scratch():
            assert [folder.exists() for folder in (abandoned, young, foreign, held)] == [False, True, True, True]
    assert not held.exists()
    module._sweep.cache_clear()
