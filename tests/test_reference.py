"""Every pass, criterion and recipe has its page, made from the code, with a note of when to take it."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from optimise_onnx.passes.pipelines import PASSES
from optimise_onnx.passes.select.criteria import OURS
from optimise_onnx.tools.recipes import RECIPES

DOCS = Path(__file__).resolve().parents[1] / "docs"
EVERY = {"passes": set(PASSES), "criteria": {each.name for each in OURS}, "recipes": set(RECIPES)}


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = spec_from_file_location("reference", DOCS / "reference.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(reference: ModuleType) -> dict[str, str]:
    found: dict[str, str] = reference.pages()
    return found


def test_each_has_its_page(pages: dict[str, str]) -> None:
    assert set(pages) == {f"{kind}/{name}.md" for kind, names in EVERY.items() for name in names}


def test_each_has_its_note_and_no_other() -> None:
    notes: dict[str, dict[str, Any]] = yaml.safe_load((DOCS / "reference.yaml").read_text(encoding="utf-8"))
    assert {kind: set(names) for kind, names in notes.items()} == EVERY
    assert all(set(note) <= {"when", "formula"} and note["when"] for names in notes.values() for note in names.values())
    assert all("formula" in note for note in notes["criteria"].values())


def test_pages_say_what_the_code_knows(pages: dict[str, str]) -> None:
    assert "| `ridge` | `float` | `0.001` |" in pages["passes/reconstruct.md"]
    assert "arXiv 1707.06168" in pages["criteria/lasso.md"] and "lasso" in pages["recipes/he2017.md"]
    assert ":func:" not in "".join(pages.values()) and "``" not in pages["criteria/lasso.md"]


def test_pages_show_their_rows_of_the_results(reference: ModuleType) -> None:
    table = "| criterion | lost |\n|---|---|\n| obs | 1 |\n| obs-swap | 2 |"
    assert reference._own(table, "obs") == "| criterion | lost |\n|---|---|\n| obs | 1 |"
    assert reference._own(table, "swap") == "" and reference._own("no table", "obs") == ""
