"""The peer that removes channels from ONNX files, brought to the same MACs: onnxsim's structured pruning.

Models are simplified by it first, without which it finds little. Its share of channels is one for all layers that it
knows how to cut, ranked by weights and activations (Wanda); it is bisected until the MACs are met.
"""

import json
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
from coverage import ran

STEPS, SAMPLES = 8, 32
MISSING = "skipped: onnxsim is not installed (pip install onnxsim==0.8.1)"


def counted(model: Path, shape: str) -> dict[str, int]:
    """Count MACs, at the given sizes of inputs, and parameters."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        ran("analyse", str(model), "--input-shape", shape, "--json", str(told), "-q")
        total: dict[str, int] = json.loads(told.read_text())["total"]
        return total


def pruned(model: Path, out: Path, share: float, data: Path, shape: str) -> str:
    """Write what the peer leaves at a share of the MACs, at most; return '', or why it wrote nothing."""
    if find_spec("onnxsim") is None:
        return MISSING
    allowed, low, high = share * counted(model, shape)["macs"], 0.0, 0.99
    if _cut(model, out, high, data, shape) > allowed:
        out.unlink()
        return "does not reach the target, with 99 % of the channels asked for"
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if _cut(model, out, middle, data, shape) <= allowed else (middle, high)
    _cut(model, out, high, data, shape)
    return ""


def _cut(model: Path, out: Path, sparsity: float, data: Path, shape: str) -> int:
    """Remove a share of the channels; return the MACs that are left."""
    from onnxsim import simplify
    from onnxsim.pruning import apply_structured_wanda_pruning

    with np.load(data) as held:
        samples = [{name: held[name][i : i + 1] for name in held.files} for i in range(SAMPLES)]
    simple, _ = simplify(onnx.load(model))
    onnx.save(apply_structured_wanda_pruning(simple, samples, sparsity=sparsity), out)
    return counted(out, shape)["macs"]
