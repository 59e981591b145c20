"""The exact passes alone on nine ImageNet architectures whose weights are all alike: how small do they get?

    python benchmarks/exact_passes.py [NAME ...]

The weightless test models inside the onnx package make nearly every weight by ConstantOfShape, so nearly all channels
are duplicates. Errors are relative to the largest entry, on random input: of the outputs, and of what the last Softmax
reads (its output is 0.001 everywhere). Seconds and peak memory are those of the passes, each network in a process of
its own.
"""

import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.feeds import random_feeds
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.batch_norm import FoldBatchNorm
from optimise_onnx.passes.cleanup.constants import FoldConstants
from optimise_onnx.passes.cleanup.dead import RemoveDeadChannels
from optimise_onnx.passes.cleanup.duplicate import MergeDuplicateChannels
from optimise_onnx.passes.manager import apply

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NAMES = sorted(path.stem.removeprefix("light_") for path in FOLDER.glob("light_*.onnx"))


def measure(name: str) -> str:
    """Run the passes on one network and return its line of the table."""
    original, _ = load(FOLDER / f"light_{name}.onnx")
    graph = original.copy()
    context = Context(OrtRunner(), original)
    start = time.perf_counter()
    apply(FoldConstants(), graph, context)
    apply(FoldBatchNorm(), graph, context)
    before = parameters(graph)
    apply(RemoveDeadChannels(), graph, context)
    apply(MergeDuplicateChannels(), graph, context)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    after = parameters(graph)
    outputs, logits = error(original, graph, False), error(original, graph, True)
    counts = f"{before:>11,d} {after:>9,d} {after / before:8.4f}"
    return f"{name:14s} {counts} {outputs:9.1e} {logits:9.1e} {seconds:6.1f} {peak:6.2f}"


def parameters(graph: Graph) -> int:
    """Count stored floats."""
    return sum(tensor.array.size for tensor in graph.constants() if tensor.array.dtype.kind == "f")


def error(one: Graph, other: Graph, before_softmax: bool) -> float:
    """Return the largest difference, relative to the largest entry."""
    feeds = random_feeds(one, np.random.default_rng(0), 1)
    first, second = (probed(graph, before_softmax, feeds) for graph in (one, other))
    if not np.isfinite(first).all():
        return float("nan")
    return float(np.abs(first - second).max() / np.abs(first).max())


def probed(graph: Graph, before_softmax: bool, feeds: dict[str, np.ndarray]) -> np.ndarray:
    """Return the output, or what the Softmax that makes it reads, in float64."""
    tensor = graph.outputs[0]
    maker = tensor.producer
    if before_softmax and maker is not None and maker.op == "Softmax":
        tensor = maker.inputs[0]
    values = OrtRunner().session(graph, outputs=[tensor.name], exact=True).run(feeds)
    return values[tensor.name].astype(np.float64)


def main() -> None:
    """Print one line a network, all by default."""
    titles = f"{'parameters':>11s} {'after':>9s} {'ratio':>8s} {'error':>9s} {'logits':>9s}"
    print(f"{'network':14s} {titles} {'s':>6s} {'GiB':>6s}")
    for name in sys.argv[1:] or NAMES:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            print(pool.submit(measure, name).result(), flush=True)


if __name__ == "__main__":
    main()
