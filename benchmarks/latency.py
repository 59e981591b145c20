"""Latency as a target, and what aligned widths are worth: figures of docs/results.md.

    python benchmarks/latency.py SHARED [resnet56|resnet50 ...] [--threads 1 2] [--forms stretch] [--share 0.5]

For each network and number of threads: ``latency=0.5x``; the ``macs`` target that takes as long, sought in steps of
one hundredth; ``macs=0.5x`` at widths that pay (``--align auto``) and at any width (``--align 1``). Time left is the
median ratio of paired runs of one image, interleaved, for five seconds. ResNet-56: 512 training images calibrate and
top-1 is of 5,000 validation images; ResNet-50: weights are drawn at random, so it is only timed. Run it on an idle
machine. SHARED is as in ``networks.py``.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from light_networks import drawn
from networks import cifar, fit, outputs

import optimise_onnx
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.backends.ort.stopwatch import latency
from optimise_onnx.ir.errors import TargetNotMetError
from optimise_onnx.ir.graph import Graph

STEPS = 6
"""Bisections of the share of MACs between 0.05 and 1."""


class Bench:
    """One network with calibration data."""

    def __init__(self, name: str, shared: Path, threads: int) -> None:
        self.name, self.threads, self.shared = name, threads, shared
        self.fitted: dict[str, int] = {}
        if name == "resnet50":
            self.graph: Graph = drawn(name)
            rng = np.random.default_rng(1)
            self.images = rng.standard_normal((64, 3, 224, 224)).astype(np.float32)
        else:
            self.graph = optimise_onnx.load(shared / "models" / f"{name}_cifar10.onnx")
            self.images = cifar()[0](shared)[0]["input"]
            self.fitted = fit()
        self.input = self.graph.inputs[0].name

    def arm(self, title: str, target: str, **options: object) -> float:
        """Compress, print a row of the table, and return the time left."""
        start = time.perf_counter()
        try:
            data = {self.input: self.images}
            found = optimise_onnx.compress(
                self.graph, target=target, data=data, threads=self.threads, guard=False, **self.fitted, **options
            )
        except TargetNotMetError as error:
            print(f"| {title} | `{target}` | {error} |", flush=True)
            return 1.0
        spent = time.perf_counter() - start
        left = self.time_left(found.model)
        macs = found.report.after.macs / found.report.before.macs
        forms = next((r.figures["layers_rewritten"] for r in found.records if "layers_rewritten" in r.figures), 0)
        said = [f"{left:.3f}", f"{macs:.3f}", self.lost(found.model), str(forms), f"{spent:.0f} s"]
        print(f"| {title} | `{target}` | {' | '.join(said)} |", flush=True)
        return left

    def time_left(self, model: onnx.ModelProto) -> float:
        """Time the model beside the original."""
        runner, feeds = OrtRunner(self.threads, spinning=True), {self.input: self.images[:1]}
        sessions = [runner.deployed(self.graph), runner.deployed(optimise_onnx.load(model))]
        return latency(sessions, [feeds, feeds], 5.0).ratio.middle

    def lost(self, model: onnx.ModelProto) -> str:
        """Return the points of top-1 lost on validation images."""
        if self.name == "resnet50":
            return ""
        feeds, labels = cifar()[1](self.shared)
        sessions = [OrtRunner().session(graph) for graph in (self.graph, optimise_onnx.load(model))]
        before, after = (float((outputs(session, feeds).argmax(1) == labels).mean()) for session in sessions)
        return f"{100 * (before - after):.2f}"


def same_time(bench: Bench, wanted: float, run: Callable[[str], float]) -> None:
    """Bisect the share of MACs until the model takes as long as ``wanted``."""
    low, high = 0.05, 1.0
    for _ in range(STEPS):
        share = round((low + high) / 2, 2)
        low, high = (low, share) if run(f"macs={share}x") > wanted else (share, high)


def main() -> None:
    """Print a table for each network and number of threads."""
    parser = argparse.ArgumentParser()
    parser.add_argument("shared", type=Path)
    parser.add_argument("networks", nargs="*", default=["resnet56", "resnet50"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--forms", nargs="*", default=[])
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--same-time", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    for name in given.networks:
        for threads in given.threads:
            bench = Bench(name, given.shared, threads)
            print(f"\n{name}, {threads} thread(s):\n")
            print("| arm | target | time left | MACs left | top-1 lost | layers rewritten | took |")
            print("|---|---|---|---|---|---|---|")
            left = bench.arm("latency", f"latency={given.share}x")
            for forms in given.forms:
                bench.arm(f"latency, {forms}", f"latency={given.share}x", forms=[forms])
            bench.arm("MACs, widths that pay", f"macs={given.share}x")
            bench.arm("MACs, any width", f"macs={given.share}x", align=1)
            if name != "resnet50" and given.same_time:
                same_time(bench, left, lambda target, b=bench: b.arm("same time", target, align=1))


if __name__ == "__main__":
    main()
