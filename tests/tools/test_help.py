"""``--help`` is grouped, has examples that the program reads, and every command can say its findings as JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from parsing import parse
from typer.main import get_command

from optimise_onnx.tools.cli import app
from optimise_onnx.tools.commands.examples import EXAMPLES
from optimise_onnx.tools.commands.panels import PANELS

from .conftest import Run

COMMANDS = get_command(app).commands  # type: ignore[attr-defined]


def own(command: Any) -> list[Any]:
    """List the options of a command."""
    return [each for each in command.params if each.param_type_name == "option"]


def test_every_command_has_examples_that_the_program_reads() -> None:
    assert EXAMPLES.keys() == COMMANDS.keys()
    for name, examples in EXAMPLES.items():
        for _, words in examples:
            assert parse(f"optimise-onnx {words}") == name


def test_every_option_of_compress_stands_under_a_heading() -> None:
    assert [each.name for each in own(COMMANDS["compress"]) if not each.rich_help_panel] == []  # type: ignore[attr-defined]


def test_every_command_can_say_its_findings_as_json() -> None:
    spelled = {name: {word for option in own(each) for word in option.opts} for name, each in COMMANDS.items()}
    assert [name for name, words in spelled.items() if "--json" not in words] == []


def test_headings_name_options_that_there_are() -> None:
    there = {each.name for command in COMMANDS.values() for each in own(command)}
    assert {name for names in PANELS.values() for name in names} - there == set()


def test_targets_are_listed(run: Callable[..., Run]) -> None:
    found = run("compress", "--target", "help")
    assert found.code == 0 and "peak-memory=0.5x" in found.out and "or an amount" in found.out


def test_help_shows_headings_and_examples(run: Callable[..., Run]) -> None:
    found = run("compress", "--help")
    assert found.code == 0 and "$ optimise-onnx compress model.onnx" in found.out
    places = [found.out.index(heading) for heading in PANELS if heading != "Debugging of passes"]
    assert places == sorted(places)
    assert found.out.index("╭") >= 0 and "Look at models" in run("--help").out


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("compress in.onnx -o out.onnx --target macs=0.6x", "layers"),
        ("verify in.onnx in.onnx", "outputs"),
        ("run in.onnx -o out.onnx --passes fold-constants", "passes"),
        ("passes", "fold-constants"),
        ("cache info", "bytes"),
        ("recipes", "files"),
        ("sweep in.onnx -o front --targets 0.8x", "points"),
    ],
    ids=lambda words: words.split()[0],
)
def test_what_a_command_finds_can_be_had_as_json(words: str, key: str, folder: Path, run: Callable[..., Run]) -> None:
    assert run(*words.split(), "--json", "found.json").code == 0
    assert key in json.loads((folder / "found.json").read_text())


def test_the_json_of_models_that_differ_is_written(folder: Path, run: Callable[..., Run]) -> None:
    model = onnx.load(folder / "in.onnx")
    for each in model.graph.initializer:
        each.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(each) * np.float32(1.1), each.name))
    onnx.save(model, folder / "out.onnx")
    assert run("verify", "in.onnx", "out.onnx", "--json", "found.json").code == 5
    outputs = json.loads((folder / "found.json").read_text())["outputs"]
    assert not any(each["within"] for each in outputs.values())
