"""Skips what needs a tool that is not there, and says which; a folder for hardware."""

from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest

TOOLS = {"rtl": ("verilator", "g++", "make"), "area": ("yosys",)}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "rtl: makes hardware by da4ml and simulates it by Verilator, seconds each")
    config.addinivalue_line("markers", "area: maps hardware to cells by Yosys")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        programs = [tool for mark, tools in TOOLS.items() if item.get_closest_marker(mark) for tool in tools]
        missing = [program for program in programs if which(program) is None]
        missing += ["da4ml"] if programs and find_spec("da4ml") is None else []
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "hardware"
