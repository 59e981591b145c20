"""What ``hls`` prints: names are cut in the middle, figures never."""

from collections.abc import Callable

import pytest
from rich.console import Console

from optimise_onnx.tools.hls import output
from optimise_onnx.tools.hls.sections import Section
from optimise_onnx.tools.terminal import Terminal

NAME = "StatefulPartitionedCall_functional_1_block_{}_sequential_conv_{}_BiasAdd"
ROWS = [(NAME.format(i, i), "depthwise convolution", "112x112x64", "resource", f"{i},001", "1,234,567") for i in (1, 2)]
SECTION = Section("layers", ("layer", "what", "result", "strategy", "reuse", "multipliers"), [*ROWS, [""] * 6], 4)


@pytest.mark.parametrize(("width", "texts"), [(140, True), (90, True), (80, False), (30, False)])
def test_figures_are_never_dropped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, texts: bool
) -> None:
    terminal: Callable[[Terminal, bool], Console] = Terminal._console

    def narrow(out: Terminal, stderr: bool) -> Console:
        console = terminal(out, stderr)
        console.width = width
        return console

    monkeypatch.setattr(Terminal, "_console", narrow)
    output._say(Terminal(), SECTION)
    lines = capsys.readouterr().out
    for i in (1, 2):
        assert f"{i},001" in lines and f"Stateful…_conv_{i}_BiasAdd" in lines
    assert lines.count("1,234,567") == 2 and ("depthwise" in lines) is texts
