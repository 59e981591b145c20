"""``cache`` says what is kept and removes it, and nothing besides."""

from collections.abc import Callable
from pathlib import Path

from .conftest import Run

COMPRESS = ("compress", "in.onnx", "-o", "out.onnx", "--target", "macs=0.6x", "--no-guard")


def test_what_is_kept_is_said_and_removed(folder: Path, run: Callable[..., Run]) -> None:
    kept = folder / "kept"
    assert run("cache", "info", "--cache", str(kept)).out == f"{kept}: 0 entries, 0 B of 2.147 GB; " + BEYOND
    assert run(*COMPRESS, "--data", "data.npz", "--labels", "label", "--cache", str(kept)).code == 0
    entries = list(kept.glob("*.entry"))
    size = sum(path.stat().st_size for path in entries)
    assert entries and f"{len(entries)} entries" in run("cache", "--cache", str(kept)).out
    (kept / "mine.txt").write_text("not of the cache")
    removed = run("cache", "clear", "--cache", str(kept)).out
    assert f"removed {len(entries)} entries" in removed and size > 0
    assert [path.name for path in kept.iterdir()] == ["mine.txt"]


BEYOND = "beyond, what was not used for longest goes\n"


def test_nothing_is_kept_where_it_is_not_wanted(folder: Path, run: Callable[..., Run]) -> None:
    kept = folder / "kept"
    assert run(*COMPRESS, "--no-cache", "--cache", str(kept)).code == 0
    assert not kept.exists()


def test_another_action_is_refused(run: Callable[..., Run]) -> None:
    found = run("cache", "empty")
    assert found.code == 2 and "one of info, clear" in found.err
