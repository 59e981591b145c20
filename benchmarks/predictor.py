"""Predicted against measured latency over random widths: figures of docs/results.md.

    python benchmarks/predictor.py SHARED [resnet56|resnet50|efficientnet ...] [--threads 1 2] [--figure F.svg]

For each network and one and two threads: the table is made from nothing, 40 networks of random widths are predicted,
then measured in turns. A profile keeps every group of channels at a random width: a quarter of the profiles at any
width, a quarter at multiples of 4, half at multiples of 8. SHARED is as in ``networks.py``.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from light_networks import drawn
from numpy.typing import NDArray
from scipy.stats import spearmanr

from optimise_onnx.backends.latency.execution import Execution, interleaved
from optimise_onnx.backends.latency.predictor import Predictor
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import Channels, analyse
from optimise_onnx.passes.analysis.channels.removal import remove
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.pipelines import EXACT, FIRST

FILES = {"resnet56": "resnet56_cifar10", "efficientnet": "efficientnet_lite0"}
NAMES = ("resnet56", "resnet50", "efficientnet")
PROFILES, LEARNT = 40, 8
SEED = 2  # of the profiles that are predicted
QUANTILE = 0.5  # of each network's runs; 0.1 where other processes run beside
MULTIPLES = (8, 1, 8, 4)
Pairs = NDArray[np.float64]  # (2, profiles)


def network(name: str, shared: Path) -> Graph:
    """Load a network, its batch normalisations folded."""
    runner = OrtRunner(1)
    graph = drawn(name) if name == "resnet50" else load(shared / "models" / f"{FILES[name]}.onnx", runner)[0]
    PassManager.parse(f"{FIRST},{EXACT}").run(graph, Context(runner, graph))
    return graph


def profile(graph: Graph, channels: Channels, multiple: int, rng: np.random.Generator) -> Graph:
    """Keep random channels of every group, between a quarter and all of them, in multiples where the group allows."""
    copy, kept = graph.copy(), {}
    scale = rng.uniform(0.25, 1.0)
    for group in channels.groups:
        share = np.clip(scale * rng.uniform(0.6, 1.4), 0.25, 1.0)
        whole = -(-share * group.width // multiple) * multiple
        count = int(np.clip(whole, 1, group.width))
        kept[group.name] = np.concatenate([rng.choice(cell, count, replace=False) for cell in group.cells])
    remove(copy, channels, kept)
    return copy


def profiles(graph: Graph, count: int, seed: int) -> list[Graph]:
    """Draw networks of random widths."""
    channels, rng = analyse(graph), np.random.default_rng(seed)
    return [profile(graph, channels, MULTIPLES[i % len(MULTIPLES)], rng) for i in range(count)]


def score(name: str, graph: Graph, threads: int, points: dict[str, Pairs]) -> str:
    """Learn, predict, measure; leave the milliseconds predicted and measured in ``points``."""
    target = Execution(threads=threads)
    with TemporaryDirectory() as folder:
        learnt = profiles(graph, LEARNT, seed=0)
        start = time.perf_counter()
        predictor = Predictor.learn(graph, learnt, target, folder=Path(folder))
        made = time.perf_counter() - start
        start = time.perf_counter()
        Predictor.learn(graph, learnt, target, folder=Path(folder))
        again = time.perf_counter() - start
        others = profiles(graph, PROFILES, seed=SEED)
        start = time.perf_counter()
        predicted = np.array(predictor.times(others))
        each = (time.perf_counter() - start) / PROFILES
    tens = [others[i : i + 10] for i in range(0, PROFILES, 10)]
    measured = np.concatenate([interleaved(ten, target, 0.5, QUANTILE) for ten in tens])
    points[f"{name}, {threads} thread{'s' * (threads > 1)}"] = np.stack([predicted, measured]) * 1e3
    errors = predicted / measured - 1
    line = f"{name:12s} {threads} thread(s): {np.mean(np.abs(errors) <= 0.1) * 100:.1f} % within 10 %, rank correlation"
    line += f" {spearmanr(predicted, measured).statistic:.4f}, median error {np.median(np.abs(errors)) * 100:.1f} %"
    line += f", {measured.min() * 1e3:.2f} to {measured.max() * 1e3:.2f} ms, table {made:.1f} s, again {again:.2f} s"
    return f"{line}, a prediction {each:.2f} s, worst {errors[np.abs(errors).argmax()] * 100:+.1f} %"


def draw(points: dict[str, Pairs], file: Path) -> None:
    """Draw predicted over measured milliseconds, and the band of 10 %."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.5, 6), layout="constrained")
    everything = np.hstack(list(points.values()))
    ends = np.array([everything.min() / 1.2, everything.max() * 1.2])
    axes.fill_between(ends, 0.9 * ends, 1.1 * ends, alpha=0.15, color="grey", label="±10 %")
    for name, (predicted, measured) in points.items():
        axes.plot(measured, predicted, ".", label=name)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="measured, ms", ylabel="predicted, ms")
    axes.legend()
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Run the named networks, all by default."""
    parser = argparse.ArgumentParser()
    parser.add_argument("shared", type=Path)
    parser.add_argument("networks", nargs="*", default=list(NAMES))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    points: dict[str, Pairs] = {}
    for name in given.networks:
        graph = network(name, given.shared)
        for threads in given.threads:
            print(score(name, graph, threads, points), flush=True)
    if given.figure is not None:
        draw(points, given.figure)


if __name__ == "__main__":
    main()
