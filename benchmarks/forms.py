"""Channels alone, stretched first, or widths and forms chosen together: a table of docs/results.md.

    python benchmarks/forms.py SHARED NETWORK [--arms channels,stretched,joint] [--targets macs=0.5x,macs=0.3333x]

512 training images calibrate, 5,000 validation images are only measured on. ``stretched`` writes every layer as its
spatial split first (99.9 % of the energy), and prunes what results with the channel pruner alone, as Decouple and
Stretch does; ``joint`` lets the allocator choose among all families, an arm of another name among the families of that
name. Times are interleaved with the original's, one thread, one image.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from criteria import accuracy
from networks import CIFAR, Array, images

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.backends.ort.stopwatch import latency
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.cost import cost, total
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cache import DiskCache
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.pipelines import EXACT, FIRST

SECONDS = 4.0
PRUNE = "select-channels,{offer}allocate{{target={target}}},remove-channels,{write}reconstruct"


def pipeline(arm: str, target: str) -> str:
    """Write an arm's passes."""
    if arm == "channels":
        return PRUNE.format(offer="", write="", target=target)
    if arm == "stretched":
        first = "decompose{forms=stretch,energy=0.999},"
        return first + PRUNE.format(offer="", write="", target=target)
    forms = "all" if arm == "joint" else arm.replace("+", ";")
    return PRUNE.format(offer=f"offer-forms{{forms={forms}}},", write="decompose,", target=target)


def measured(graph: Graph, original: Graph, tested: dict[str, Array], labels: Array) -> str:
    """Return accuracy lost, what is left of MACs and parameters, and of the time of one image, as table cells."""
    before, after = total(cost(original)), total(cost(graph))
    one = {name: values[:1] for name, values in tested.items()}
    sessions = [OrtRunner(1).deployed(each) for each in (original, graph)]
    found = latency(sessions, [one, one], SECONDS)
    lost = accuracy(original, tested, labels) - accuracy(graph, tested, labels)
    shares = f"{after.macs / before.macs:.4f} | {after.parameters / before.parameters:.4f}"
    return f"{lost:.2f} | {shares} | {found.ratio[1]:.2f}"


def main() -> None:
    """Run all arms on all targets and print a row each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("shared", type=Path)
    parser.add_argument("network")
    parser.add_argument("--arms", default="channels,stretched,joint")
    parser.add_argument("--targets", default="macs=0.5x,macs=0.3333x")
    given = parser.parse_args()
    source, _ = load(given.shared / "models" / f"{given.network}_cifar10.onnx", OrtRunner(1))
    feeds, _ = images("cifar10_train.npz", *CIFAR, 0, 512)(given.shared)
    tested, labels = images("cifar10_val.npz", *CIFAR, 0, 5000)(given.shared)
    assert labels is not None
    print(
        "| target | arm | top-1 lost | MACs left | parameters left | time left |\n|---|---|---|---|---|---|", flush=True
    )
    with tempfile.TemporaryDirectory() as folder:
        for target in given.targets.split(","):
            for arm in given.arms.split(","):
                graph, cache = source.copy(), DiskCache(Path(folder))
                context = Context(OrtRunner(1), graph, Calibration.from_arrays(feeds), verify=False, cache=cache)
                PassManager.parse(FIRST).run(graph, context)
                context.original = original = graph.copy()
                PassManager.parse(f"{EXACT},{pipeline(arm, target)}").run(graph, context)
                row = measured(graph, original, tested, np.asarray(labels))
                print(f"| {target} | {arm} | {row} |", flush=True)


if __name__ == "__main__":
    main()
