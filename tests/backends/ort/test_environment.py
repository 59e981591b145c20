"""onnxruntime is told to send nothing, before it is loaded and after."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from optimise_onnx.backends.ort import environment


def test_nothing_is_kept_to_be_sent(tmp_path: Path) -> None:
    told = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    told |= {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    program = "import optimise_onnx; optimise_onnx.load; import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run([sys.executable, "-B", "-c", program], env=told, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    assert list(tmp_path.iterdir()) == []


def test_builds_with_telemetry_are_told_to_leave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(environment.onnxruntime, "disable_telemetry_events", lambda: told.append("off"), raising=False)
    environment.prepare()
    assert told == ["off"]


def test_builds_without_telemetry_are_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(environment.onnxruntime, "disable_telemetry_events", raising=False)
    environment.prepare()
