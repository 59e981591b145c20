"""What a smaller model is: costs, time and right answers beside the original, all with one yardstick for everybody."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from deployed_scores import outputs

import optimise_onnx
from optimise_onnx.tools.bench import bench

Array = np.ndarray[Any, np.dtype[Any]]
SECONDS = 3.0


def child(module: str, spec: dict[str, Any], limit: float) -> str:
    """Run a module of this package on one thread, with a JSON file as its argument, for ``limit`` seconds at most.

    Return what it said when it failed, '' if it did not.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as log:
        file = Path(folder) / "spec.json"
        file.write_text(json.dumps(spec))
        command = ["timeout", "-k", "5", str(limit), sys.executable, "-m", module, str(file)]
        code = subprocess.run(command, stdout=log, stderr=log, env=environment).returncode
        log.seek(0)
        said = [line.strip() for line in log if line.strip()]
    why = f"stopped after {limit:.0f} s" if code == 124 else (said[-1] if said else f"ended with {code}")
    return why if code else ""


def costs(model: Path, shape: str) -> dict[str, int]:
    """Count MACs, at the given sizes of inputs, and parameters."""
    total: dict[str, int] = optimise_onnx.analyse(model, input_shapes=sizes(shape)).to_json()["total"]
    return total


def sizes(shape: str) -> dict[str, tuple[int, ...]]:
    """Read sizes of an input, as ``--input-shape`` takes them."""
    name, each = shape.rsplit(":", 1)
    return {name: tuple(map(int, each.split(",")))}


def time_left(before: Path, after: Path, shape: str) -> dict[str, float]:
    """Return the share of CPU time that is left, one thread, both models in turns: middle, low and high of 95 %."""
    found = bench([before, after], threads=1, seconds=SECONDS, input_shapes=sizes(shape))
    ratio: dict[str, float] = found.to_json()["latency"]["ratio"]
    return ratio


def session(model: Path) -> ort.InferenceSession:
    """Load a model in onnxruntime, one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def right(model: Path, inputs: dict[str, Array], labels: Array) -> Array:
    """Say of every sample whether its class is right, (n,) bool."""
    return np.asarray(outputs(model, inputs).argmax(1) == labels)


def points(before: Array, after: Array) -> dict[str, float]:
    """Return accuracy, what was lost, and the standard error of that (paired), all in points of a hundred."""
    change = after.astype(float) - before
    error = change.std() / np.sqrt(len(change))
    return {"accuracy": 100 * after.mean(), "lost": 0.0 - 100 * change.mean(), "error": 100 * error}
