"""Compress small transformers and a CRNN at 1.5 times fewer MACs, three ways; the table of docs/results.md.

    python benchmarks/sequence.py FOLDER NAME ... [--shared SHARED] [--target macs=0.6667x]

FOLDER holds what ``sequence_networks.py`` has trained, as ``vit.onnx``, ``bert.onnx``, ``gpt.onnx`` or ``crnn.onnx``.
*ours* as compress does by default; *heads + MLP*: the embedding stream stays as it is; *magnitude*: one ratio for all
groups, smallest weights first, nothing solved again. Time is CPU time on one thread, in turns, as a share.
"""

import argparse
import re
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from networks import CIFAR, images
from sequence_data import BLANK, lines, passages

import optimise_onnx
from optimise_onnx.backends.ort import OrtRunner, OrtSession
from optimise_onnx.ir.graph import Graph
from optimise_onnx.tools.api import run_pipeline

Array = np.ndarray[Any, np.dtype[Any]]
LENGTH, FITTED, MEASURED, TURNS = 64, 512, 1000, 15
STREAM = {"vit": "patch", "bert": "embed", "gpt": "embed"}  # what writes to the stream first, by a part of its name
MAGNITUDE = (
    "fold-constants,select-channels{{criterion=magnitude}},"
    "allocate{{target={target},allocation=uniform,align=1}},remove-channels"
)


def data(name: str, shared: Path, part: str, count: int) -> tuple[Array, Any]:
    """Return inputs and what should come out."""
    seed = {"train": 1, "test": 2}[part]
    if name == "crnn":
        return lines(count, seed, part, 5)
    if name == "vit":
        stored, labels = images(f"cifar10_{'train' if part == 'train' else 'val'}.npz", *CIFAR, 0, count)(shared)
        return stored["input"], labels
    ids, kinds = passages(LENGTH + (name == "gpt"), part).draw(count, seed)
    return (ids, kinds) if name == "bert" else (ids[:, :-1], ids[:, 1:])


def read(scores: Array) -> list[list[int]]:
    """Return the digits of lines: the best at each step, repeats and blanks left out."""
    best = scores.argmax(-1)
    return [[int(d) for k, d in enumerate(row) if d != BLANK and (k == 0 or d != row[k - 1])] for row in best]


def accuracy(name: str, session: OrtSession, x: Array, wanted: Any) -> float:
    """Return the percentage of right classes, characters, or whole lines."""
    parts = [next(iter(session.run({"input": x[i : i + 100]}).values())) for i in range(0, len(x), 100)]
    scores = np.concatenate(parts)
    if name == "crnn":
        return 100 * float(np.mean([a == b for a, b in zip(read(scores), wanted, strict=True)]))
    return 100 * float((scores.argmax(-1) == wanted).mean())


def time_left(runner: OrtRunner, original: Graph, smaller: Graph, x: Array) -> float:
    """Return the median ratio of CPU times of a batch of eight, in turns."""
    sessions, spent = [runner.deployed(graph) for graph in (smaller, original)], []
    for _ in range(TURNS):
        pair = []
        for session in sessions:
            begun = time.process_time()
            for _ in range(3):
                session.run({"input": x[:8]})
            pair.append(time.process_time() - begun)
        spent.append(pair[0] / pair[1])
    return median(spent)


def ways(name: str, path: Path, x: Array, target: str) -> dict[str, Graph]:
    """Compress in every way."""
    options: dict[str, Any] = {"target": target, "data": {"input": x}, "align": 1, "guard": False}
    found = {"ours": optimise_onnx.compress(path, **options).graph}
    if name in STREAM:
        first = next(t.name for n in optimise_onnx.load(path).nodes for t in n.outputs if STREAM[name] in t.name)
        found["heads + MLP"] = optimise_onnx.compress(path, keep_nodes=[re.escape(first)], **options).graph
    smallest = optimise_onnx.PassManager.parse(MAGNITUDE.format(target=target))
    found["magnitude"] = run_pipeline(path, smallest).graph
    return found


def main() -> None:
    """Print a line a way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--target", default="macs=0.6667x")
    options = parser.parse_args()
    runner = OrtRunner(1)
    for name in options.names:
        path = options.folder / f"{name}.onnx"
        original = optimise_onnx.load(path)
        x, _ = data(name, options.shared, "train", FITTED)
        held, wanted = data(name, options.shared, "test", MEASURED)
        before = accuracy(name, runner.session(original), held, wanted)
        for way, smaller in ways(name, path, x, options.target).items():
            after = accuracy(name, runner.session(smaller), held, wanted)
            left = time_left(runner, original, smaller, held)
            print(f"| {name} | {way} | {before:.1f} | {after:.1f} | {left:.2f} |", flush=True)


if __name__ == "__main__":
    main()
