"""How well deployed networks do on labelled data, in per cent: what their users count."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

Array = np.ndarray[Any, np.dtype[Any]]
Score = Callable[[Path, dict[str, Array], Array], float]


def outputs(model: Path, inputs: dict[str, Array], name: str | None = None, batch: int = 20) -> Array:
    """Run all samples through onnxruntime alone, one thread; return the named output, the first by default."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    count = len(next(iter(inputs.values())))
    parts = [
        session.run([name or session.get_outputs()[0].name], {n: x[i : i + batch] for n, x in inputs.items()})[0]
        for i in range(0, count, batch)
    ]
    return np.concatenate(parts)


def right(model: Path, inputs: dict[str, Array], labels: Array) -> float:
    """Return how many of the classes are right."""
    return float((outputs(model, inputs).argmax(1) == labels).mean() * 100)


def exact_match(model: Path, inputs: dict[str, Array], labels: Array) -> float:
    """Return how many lines are read without a mistake, blanks apart. The model's metadata lists its characters."""
    listed = next(entry.value for entry in onnx.load(model).metadata_props if entry.key == "character")
    characters = np.array(["", *listed.splitlines(), " "])
    best = outputs(model, inputs).argmax(-1)
    new = np.ones_like(best, bool)
    new[:, 1:] = best[:, 1:] != best[:, :-1]
    read = ["".join(characters[line[kept & (line > 0)]]).replace(" ", "") for line, kept in zip(best, new, strict=True)]
    return float(np.mean([a == b.replace(" ", "") for a, b in zip(read, labels.tolist(), strict=True)]) * 100)


def notes_f1(model: Path, inputs: dict[str, Array], labels: Array) -> float:
    """Return the F1 of (frame, note) pairs that sound; the network's second output is how sure it is of each."""
    told = outputs(model, inputs, "StatefulPartitionedCall:1", 4) > 0.3
    hits = (told & labels).sum()
    return float(200 * hits / (told.sum() + labels.sum()))
