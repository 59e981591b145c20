"""Every page fits three widths, in the light and in the dark, without a word on the console."""

import html
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from zoo import feeds

import optimise_onnx
from optimise_onnx.tools import front_output
from optimise_onnx.tools.differences import differences

from .conftest import network

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
WIDTHS = (360, 768, 1280)
MOST_BYTES = 1_500_000
MEASURE = """<script>onload = () => { document.title = [...document.querySelectorAll("iframe")].map(frame => {
  const root = frame.contentDocument.documentElement;
  return root.scrollWidth - root.clientWidth; }).join() }</script>"""
DARK = "--blink-settings=preferredColorScheme=0"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A compression's report, a sweep's front, and the difference of two models."""
    folder, model = tmp_path_factory.mktemp("pages"), network()
    data = {"x": feeds(model, 0, 48)["x"], "label": np.arange(48) % 10}
    front = optimise_onnx.sweep(model, targets="0.8x,0.5x", data=data, labels="label", guard=False, align=1)
    result = optimise_onnx.compress(model, target="macs=0.6x", data=data, labels="label", guard=False, align=1)
    onnx.save(model, folder / "a.onnx")
    result.save(folder / "b.onnx")
    between = differences(folder / "a.onnx", folder / "b.onnx")
    return {"report": result.page(), "front": front_output.page(front, "in.onnx"), "difference": between.page()}


@pytest.mark.parametrize("options", [(), (DARK,)], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["report", "front", "difference"])
@pytest.mark.skipif(BROWSER is None, reason="there is no chromium: apt-get install chromium")
def test_a_page_fits(name: str, options: tuple[str, ...], pages: dict[str, str], tmp_path: Path) -> None:
    page = pages[name]
    frames = "".join(f'<iframe width="{w}" height="2400" srcdoc="{html.escape(page)}"></iframe>' for w in WIDTHS)
    file, shot = tmp_path / "frames.html", tmp_path / "shot.png"
    file.write_text(f"<!DOCTYPE html><html><head>{MEASURE}</head><body>{frames}</body></html>", encoding="utf-8")
    asked = [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    asked += ["--enable-logging=stderr", "--window-size=2500,2500", "--virtual-time-budget=3000", *options]
    asked += [f"--screenshot={shot}", "--dump-dom", file.as_uri()]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    assert "CONSOLE" not in done.stderr and shot.stat().st_size > 20_000 and len(page.encode()) < MOST_BYTES
    found = re.search(r"<title>(.*?)</title>", done.stdout)
    assert found is not None and found[1] == ",".join("0" for _ in WIDTHS)  # pixels that no frame shows
