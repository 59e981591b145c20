"""How long compression takes, in onnxruntime forward passes over the same images: figures of docs/results.md.

    python benchmarks/seconds.py SHARED [resnet56|resnet50]

One thread. The forward pass is timed before, between and after; the median counts. ``resnet50`` is the weightless
test model of the onnx package, weights drawn at random, on 64 random images of 224 x 224; SHARED is as in
``networks.py``.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from light_networks import drawn
from networks import CIFAR, Array, images

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.feeds import Calibration, batch_size
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cache import DiskCache
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.pipelines import FIRST
from optimise_onnx.tools.recipes import pipeline
from optimise_onnx.tools.settings import Settings

RUNNER = OrtRunner(1)
TARGETS = ("macs=0.5x", "macs=0.6667x")


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def network(name: str, shared: Path) -> tuple[Graph, dict[str, Array]]:
    """Return a network and its calibration inputs."""
    if name == "resnet56":
        graph, _ = load(shared / "models" / "resnet56_cifar10.onnx", RUNNER)
        return graph, images("cifar10_train.npz", *CIFAR, 0, 512)(shared)[0]
    graph = drawn("resnet50")
    rng = np.random.default_rng(0)
    return graph, {graph.inputs[0].name: rng.standard_normal((64, 3, 224, 224)).astype(np.float32)}


def main() -> None:
    """Time a first and a second target."""
    shared, name = Path(sys.argv[1]), sys.argv[2]
    graph, feeds = network(name, shared)
    calibration = Calibration(lambda: [feeds], len(next(iter(feeds.values()))), step=batch_size(graph, 1))
    session = RUNNER.session(graph)

    def forward() -> None:
        for batch in calibration.batches(batch_size(graph, 64)):
            session.run(batch)

    def compress(target: str, folder: str) -> None:
        copy = graph.copy()
        context = Context(RUNNER, graph, calibration, cache=DiskCache(Path(folder)))
        first, rest = PassManager.parse(pipeline(Settings.parse(target, align=1, guard=False))).split(FIRST)
        first.run(copy, context)
        context.original = copy.copy()
        records = rest.run(copy, context)
        print("  " + ", ".join(f"{r.name} {r.seconds:.1f} s" for r in records if r.seconds > 1), flush=True)

    forward()
    passes = [timed(forward)]
    with TemporaryDirectory() as folder:
        for target in TARGETS:
            seconds = timed(partial(compress, target, folder))
            passes += [timed(forward), timed(forward)]
            one = statistics.median(passes)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(
                f"{name} {target}: {seconds:.1f} s = {seconds / one:.1f} forward passes of {one:.2f} s, {peak:.2f} GiB"
            )


if __name__ == "__main__":
    main()
