"""The cache: keyed by all that matters, whole or not at all, bounded, and never in the way."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracle import graph_of
from zoo import ZOO, feeds

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.cache_folder import default_folder
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.sizes import Sizes
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cache import DiskCache
from optimise_onnx.passes.hashing import calibration_digest, code_digest, digest, graph_digest

Array = NDArray[Any]
ENTRY = {
    "/a/b": np.arange(6, dtype=np.int64).reshape(2, 3),
    "c": np.array([0.1, np.nan, -np.inf]),
    "": np.zeros((0, 2), np.float32),
}


def same(found: Mapping[str, Array] | None, wanted: Mapping[str, Array]) -> bool:
    """Whether two entries agree bit by bit."""
    assert found is not None
    return list(found) == list(wanted) and all(
        found[k].dtype == wanted[k].dtype and found[k].tobytes() == wanted[k].tobytes() for k in wanted
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    kept = DiskCache(tmp_path / "new" / "folder")
    assert kept.load("k") is None
    kept.save("k", ENTRY)
    assert same(kept.load("k"), ENTRY)
    kept.save("k", {})
    assert kept.load("k") == {}
    assert [path.name for path in kept.folder.iterdir()] == ["k.entry"]


@pytest.mark.parametrize("damage", [b"", b"short", "cut", "flip"])
def test_a_damaged_entry_is_reported_and_computed_anew(tmp_path: Path, damage: bytes | str) -> None:
    said: list[str] = []
    kept = DiskCache(tmp_path, notice=said.append)
    kept.save("k", ENTRY)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    path.write_bytes(damage if isinstance(damage, bytes) else content[:-10] if damage == "cut" else content)
    assert kept.load("k") is None
    assert len(said) == 1 and "damaged" in said[0] and str(path) in said[0]
    assert not path.exists()
    kept.save("k", ENTRY)
    assert same(kept.load("k"), ENTRY)


def test_what_was_not_used_for_longest_goes(tmp_path: Path) -> None:
    one = {"x": np.zeros(1000)}
    DiskCache(tmp_path).save("size", one)
    size = (tmp_path / "size.entry").stat().st_size
    kept = DiskCache(tmp_path, limit=3 * size)
    (tmp_path / "left.tmp").write_bytes(bytes(size))
    (tmp_path / "notes.txt").write_bytes(bytes(10 * size))
    for age, name in enumerate(("left.tmp", "size.entry")):
        os.utime(tmp_path / name, (age, age))
    for place, key in enumerate("abcd"):
        kept.save(key, one)
        os.utime(tmp_path / f"{key}.entry", (100 + place, 100 + place))
        kept.load("a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.entry", "c.entry", "d.entry", "notes.txt"]


def test_what_is_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    said: list[str] = []
    kept = DiskCache.at(tmp_path, said.append, "20kB")
    kept.save("small", {"x": np.zeros(1000)})
    kept.save("large", {"x": np.zeros(3000)})
    assert len(said) == 1 and "may hold" in said[0]
    assert kept.load("small") is not None and kept.load("large") is None
    with pytest.raises(UsageError, match="no amount of memory"):
        DiskCache.at(tmp_path, limit="much")


def test_a_folder_that_cannot_be_written_does_not_stop_a_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said: list[str] = []
    kept = DiskCache(tmp_path / "file" / "cache", notice=said.append)
    kept.save("k", ENTRY)
    assert len(said) == 1 and "cannot be written" in said[0]
    assert kept.load("k") is None


def test_several_writers_at_once(tmp_path: Path) -> None:
    """Every load finds a whole entry or none, while entries are written and dropped."""
    said: list[str] = []
    kept = DiskCache(tmp_path, limit=40_000, notice=said.append)
    entries = {f"k{n}": {"x": np.full(1000, n)} for n in range(8)}

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(50):
            key = f"k{rng.integers(8)}"
            kept.save(key, entries[key])
            found = kept.load(f"k{rng.integers(8)}")
            assert found is None or len(set(found["x"].tolist())) == 1

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not said


def test_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIMISE_ONNX_CACHE", str(tmp_path))
    assert default_folder() == DiskCache.at(None).folder == tmp_path
    monkeypatch.delenv("OPTIMISE_ONNX_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "optimise-onnx"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "optimise-onnx"
    monkeypatch.setattr("sys.platform", "darwin")
    assert default_folder() == tmp_path / "Library" / "Caches" / "optimise-onnx"


def test_digests_tell_apart_what_differs() -> None:
    arrays = [np.array(1), np.array([1]), np.array([1], np.int32), np.array([[1, 2]]), np.array([1, 2])]
    nested = [(), ((),), (1, 2), ((1,), 2), ("ab", "c"), ("a", "bc")]
    values: list[Any] = [1, True, 1.0, "1", b"1", None, *nested, *arrays]
    assert len({digest(value) for value in values}) == len(values)
    assert digest(np.arange(6).reshape(2, 3).T) == digest(np.ascontiguousarray(np.arange(6).reshape(2, 3).T))
    assert digest([1, "a"]) == digest((1, "a"))


def test_samples_count_not_their_pieces() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3)).astype(np.float32)
    whole = Calibration.from_arrays({"x": x})
    pieces = Calibration(lambda: ({"x": part} for part in np.split(x, [7, 90])), 200)
    assert calibration_digest(whole) == calibration_digest(pieces)
    changed = x.copy()
    changed[150, 1] += 1
    others = [
        Calibration.from_arrays({"x": changed}),
        whole.head(199),
        whole.tail(1),
        Calibration.from_arrays({"y": x}),
    ]
    assert len({calibration_digest(each) for each in (whole, *others)}) == 5


def test_graphs_count_with_their_weights_and_sizes() -> None:
    graph = graph_of(ZOO["mlp"]())
    assert graph_digest(graph) == graph_digest(graph.copy()) == graph_digest(graph_of(ZOO["mlp"]()))
    other = graph.copy()
    weight = next(other.constants())
    other.set_array(weight, weight.array + np.float32(1e-3))
    sized = graph.copy()
    sized.sizes = Sizes({"H": 8})
    assert len({graph_digest(each) for each in (graph, other, sized)}) == 3
    assert code_digest() == code_digest()


def test_a_context_remembers(tmp_path: Path) -> None:
    model = ZOO["mlp"]()
    graph, inputs = graph_of(model), feeds(model, 0, 8)
    made: list[int] = []

    def make() -> dict[str, Array]:
        made.append(1)
        return ENTRY

    def context(seed: int = 0, samples: int = 8, folder: Path = tmp_path) -> Context:
        data = Calibration.from_arrays(inputs).head(samples)
        return Context(OrtRunner(1), graph, data, seed, cache=DiskCache(folder))

    for _ in range(2):
        assert same(context().remember("name", graph, ("option", 1), make), ENTRY)
    assert len(made) == 1
    context(seed=1).remember("name", graph, ("option", 1), make)
    context(samples=7).remember("name", graph, ("option", 1), make)
    context().remember("other", graph, ("option", 1), make)
    context().remember("name", graph, ("option", 2), make)
    context().remember("name", graph_of(ZOO["vgg_gap"]()), ("option", 1), make)
    assert len(made) == 6
    Context(OrtRunner(1), graph).remember("name", graph, (), make)  # no cache
    assert len(made) == 7
