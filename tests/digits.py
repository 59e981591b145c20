"""The shipped network for digits with its data, and how far a changed one is from it on images neither has seen."""

from __future__ import annotations

from functools import cache
from typing import Any

from numpy.typing import NDArray

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.demo import Samples, load_samples, paths
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.statistics.judge import Judge, judge
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager

Array = NDArray[Any]
RUNNER = OrtRunner(1)


@cache
def samples() -> Samples:
    """Calibration images, test images, labels."""
    return load_samples()


@cache
def network() -> Graph:
    """The network after the first exact passes. Copy it before you change it."""
    graph, _ = load(paths()[0], RUNNER)
    PassManager.parse("fold-constants,fold-batch-norm").run(graph, Context(RUNNER, graph.copy()))
    return graph


@cache
def examiner() -> Judge:
    """Compares with the network on the test images."""
    return judge(network(), calibration(samples().test_image), RUNNER)


def calibration(images: Array) -> Calibration:
    """Images as calibration data."""
    return Calibration.from_arrays({"image": images})


def context(count: int | None = None, seed: int = 0) -> Context:
    """A fresh context with the first ``count`` calibration images; 0 for none."""
    images = samples().calibration[:count]
    return Context(RUNNER, network(), calibration(images) if count != 0 else None, seed)


def run(pipeline: str, shared: Context, graph: Graph | None = None) -> Graph:
    """Run passes on a copy of the network, or go on with ``graph`` in place."""
    result = network().copy() if graph is None else graph
    PassManager.parse(pipeline, given=shared.plan.facts).run(result, shared)
    return result


def accuracy(graph: Graph) -> float:
    """Share of the test images that are classified right."""
    (scores,) = RUNNER.session(graph).run({"image": samples().test_image}).values()
    return float((scores.argmax(1) == samples().test_label).mean())
