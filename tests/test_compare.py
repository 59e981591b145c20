"""The page of the comparison: made from results alone, and it says so where another tool wins or fails."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in [name for name in sys.modules if name.partition(".")[0] == "compare"]:
        monkeypatch.delitem(sys.modules, name)
    return importlib.import_module("compare.page")


def row(peer: str, asked: float, lost: float, time: float, family: str = "onnxsim") -> dict[str, Any]:
    spread = {"low": time - 0.01, "middle": time, "high": time + 0.01}
    return {
        "subject": "resnet20", "peer": peer, "family": family, "asked": asked, "macs": asked, "parameters": 0.6,
        "accuracy": 88 - lost, "lost": lost, "error": 0.1, "time": spread, "cpu": 3.0, "memory": 0.5,
    }  # fmt: skip


@pytest.fixture
def found() -> dict[str, Any]:
    ours = "optimise-onnx"
    rows = [
        row("ours", 0.5, 4.0, 0.8, ours),
        row("ours, by time", 0.7, 2.0, 0.75, ours),
        row("onnxsim L2", 0.5, 3.0, 0.6),
        {"subject": "resnet20", "peer": "Neuron Merging", "family": "published", "asked": 0.5, "failed": "a | b"},
    ]
    zoo = {
        "ours": {"mlp": ["smaller", "", 0.5], "lrn": ["refused", "why", 1.0]},
        "kirigami group": {"failed": "stopped"},
    }
    return {
        "rows": {str(k): each for k, each in enumerate(rows)}, "zoo": zoo, "versions": {"onnxsim": "0.8.1"},
        "before": {"resnet20": {"accuracy": 88.0, "images": 2500}},
    }  # fmt: skip


def test_a_peer_that_wins_is_named(page: ModuleType, found: dict[str, Any]) -> None:
    text = page.section(found)
    assert "At 0.5 of the MACs *onnxsim L2* loses least, 3.00 points; ours loses 4.00." in text
    assert "At 0.80 of the time *onnxsim L2* loses least, 1.50 points; ours, by time loses 1.60." in text


def test_what_failed_is_listed_with_its_message(page: ModuleType, found: dict[str, Any]) -> None:
    text = page.section(found)
    assert "| Neuron Merging | 0.5 | a \\| b |" in text
    assert "| kirigami group | stopped |" in text and "| ours | 1 | 0 | 1 | 0 | 0.50 |" in text


def test_what_was_not_run_is_said(page: ModuleType, found: dict[str, Any]) -> None:
    text = page.section(found)
    assert "### Magika\n\nNot in this run." in text
    assert "Not in this run: ours, stretch; onnxsim L2, refit;" in text


def test_nothing_is_guessed_beyond_a_methods_own_rows(page: ModuleType, found: dict[str, Any]) -> None:
    rows = list(found["rows"].values())
    assert page.lost_at(rows, "onnxsim L2", 0.8) == pytest.approx(1.5)
    assert page.lost_at(rows, "onnxsim L2", 0.5) is None
    assert page.lost_at(rows, "Neuron Merging", 0.9) is None


def test_the_section_takes_the_place_of_the_one_before(
    page: ModuleType, found: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, written = tmp_path / "results.json", tmp_path / "results.md"
    results.write_text(json.dumps(found))
    written.write_text(f"# Results\n\n{page.BEGIN}\nbygone\n{page.END}\n\n## After\n")
    monkeypatch.setattr(sys, "argv", ["page", str(results), str(tmp_path)])
    page.main()
    first = written.read_text()
    page.main()
    assert written.read_text() == first and "bygone" not in first and first.endswith("\n\n## After\n")
    assert {path.name for path in tmp_path.glob("*.svg")} == {"compare-time.svg", "compare-macs.svg"}
