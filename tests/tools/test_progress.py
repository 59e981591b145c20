"""How far a command has come is shown on terminals and in notebooks, with the time left, and nowhere else."""

from collections.abc import Callable

import pytest
from rich.console import Console

from optimise_onnx.tools import terminal
from optimise_onnx.tools.terminal import Terminal


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Have a console that takes itself for a terminal, and return what it was told."""
    console = Console(force_terminal=True, width=100, record=True, color_system=None)
    monkeypatch.setattr(Terminal, "_console", lambda *_, **__: console)
    return console.export_text


def test_terminals_show_the_time_left(shown: Callable[[], str]) -> None:
    with Terminal().progress() as report:
        report("solving", 0.5)
    assert "left" in shown()


def test_notebooks_show_a_bar(shown: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_in_notebook", lambda: True)
    with Terminal().followed(None) as report:
        report("solving", 0.5)
    assert "left" in shown()


def test_scripts_show_nothing_and_get_what_they_ask_for(shown: Callable[[], str]) -> None:
    told: list[float] = []
    with Terminal().followed(None) as report:
        report("solving", 0.5)
    with Terminal().followed(lambda _, share: told.append(share)) as report:
        report("solving", 0.5)
    assert shown() == "" and told == [0.5]
