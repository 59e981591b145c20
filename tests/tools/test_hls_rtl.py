"""``hls --rtl``: tiers 2 and 3."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest

from .conftest import Run
from .hls_case import BITS, needs_hls4ml, place

__all__ = ["place"]


@needs_hls4ml
@pytest.mark.hls
@pytest.mark.skipif(not which("verilator") or not find_spec("da4ml"), reason="needs verilator and da4ml")
@pytest.mark.skipif(not which("yosys"), reason="needs yosys")
def test_hardware_of_our_own(place: Path, run: Callable[..., Run]) -> None:
    found = run(*BITS, "--no-csim", "--rtl")
    assert found.code == 0 and "our own RTL" in found.out and "da4ml estimates" in found.out
    tiers = json.loads((place / "made" / "report.json").read_text())["hardware"]
    assert tiers["tier3"]["interval"] == 64 and tiers["tier3"]["cells"]["lut"] > 0 < tiers["tier2"]["lut"]
    assert "module network" in (place / "made" / "rtl.v").read_text()
