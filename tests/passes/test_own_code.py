"""Code of other packages that results depend on: a change of it is another key of the cache."""

import importlib.util
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import digits
import numpy as np
import pytest

from optimise_onnx.ir import registry
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cache import DiskCache
from optimise_onnx.passes.hashing import source_digest
from optimise_onnx.passes.select.criteria import CRITERIA
from tests.ir.test_registry import FakeEntryPoint

CRITERION = """
from dataclasses import dataclass
import numpy as np

@dataclass(frozen=True)
class Ends:
    name: str = "ends"
    paper: str = "none"
    needs: frozenset = frozenset()

    def rank(self, evidence):
        cells, width = evidence.form
        order = np.arange(cells * width).reshape(cells, width).T
        return order[::STEP], np.arange(width + 1.0)

def make():
    return {"x": np.array([STEP])}
"""


def written(folder: Path, step: int, name: str = "their_ends") -> ModuleType:
    """Write a module with a criterion that ranks from the front or the back, and import it."""
    path = folder / f"{name}.py"
    path.write_text(CRITERION.replace("STEP", str(step)), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def orders(criterion: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Rank the digits network with a criterion that a package offers, and a cache."""
    entry = FakeEntryPoint("ends", "theirs:ENDS", criterion)
    monkeypatch.setattr(registry, "offered", lambda group: (entry,) if group == CRITERIA.group else ())
    shared = digits.context(0)
    shared.cache = DiskCache(folder)
    digits.run("select-channels{criterion=ends}", shared)
    return [ranking.order.ravel().tolist() for ranking in shared.plan.ranking.groups.values()]


def test_a_changed_criterion_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    first = orders(written(tmp_path, 1).Ends(), tmp_path / "cache", monkeypatch)
    second = orders(written(tmp_path, -1).Ends(), tmp_path / "cache", monkeypatch)
    assert second == [order[::-1] for order in first]
    assert orders(written(tmp_path, 1).Ends(), tmp_path / "cache", monkeypatch) == first
    assert len(list((tmp_path / "cache").glob("ranking-*.entry"))) == 2


def test_what_another_package_remembers_depends_on_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    shared = Context(digits.RUNNER, digits.network(), cache=DiskCache(tmp_path / "cache"))
    for step in (1, -1):
        found = shared.remember("theirs", digits.network(), (), written(tmp_path, step).make)
        assert found["x"].tolist() == [step]


def test_sources_are_those_of_the_whole_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "theirs_whole"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inner" / "__init__.py").write_text("class One:\n    pass\n\ndef act(): pass\n")
    (package / "other.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    inner = importlib.import_module("theirs_whole.inner")
    ways = (inner.One, inner.One(), inner.act, partial(inner.act))
    before = source_digest(inner.One)
    assert before and {source_digest(way) for way in ways} == {before}
    (package / "other.py").write_text("x = 2\n")
    assert source_digest(inner.One) != before


def test_our_own_code_counts_elsewhere() -> None:
    assert source_digest(CRITERIA["obs"], digits.context, np.ones(1)) == source_digest(CRITERIA["obs"], digits.context)
    assert source_digest(*CRITERIA.values()) == source_digest()


def test_functions_that_an_object_of_ours_holds_count(tmp_path: Path) -> None:
    from optimise_onnx.passes.select.criterion import ByReaders

    theirs = ByReaders("theirs", "none", frozenset(), written(tmp_path, 1, "their_function").make)
    assert source_digest(theirs) != source_digest()


def test_code_without_a_file_is_never_the_same() -> None:
    space: dict[str, Any] = {"__name__": "typed_by_hand"}
    exec("def act(): pass", space)
    assert source_digest(space["act"]) != source_digest(space["act"])
