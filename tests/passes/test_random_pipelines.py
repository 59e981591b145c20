"""Random pipelines: refused with a UsageError, or right: valid, exact where only exact passes and removals ran, and
never further from the original by reconstruction.
"""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.channels.masking import masked
from optimise_onnx.passes.analysis.channels.origins import class_mask, expresses
from optimise_onnx.passes.analysis.statistics.judge import judge
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.pipelines import known_passes
from optimise_onnx.passes.syntax import parse
from tests.passes.decompose.passing import calibrated, network
from tests.zoo import ARCHITECTURES

EXACT = ["fold-constants", "fold-batch-norm", "fold-padding", "remove-dead-channels", "merge-duplicate-channels"]
REMOVING = [
    "sample-inputs",
    "drop-samplers",
    "select-channels{keep=0.7}",
    "select-channels{criterion=magnitude,keep=0.5}",
    "select-channels",
    "allocate{target=macs=0.8x,branches=false}",
    "remove-channels",
    "remove-channels",
]
LOSSY = [
    "offer-forms{forms=stretch}",
    "decompose",
    "decompose{forms=low-rank,share=0.8}",
    "fold-channels",
    "reconstruct",
    "reconstruct",
]
MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    "plain": lambda: network("plain"),
    "residual": lambda: network("residual"),
    "resnet": ARCHITECTURES["resnet_projection"],
    "shuffle": ARCHITECTURES["shufflenet_v1"],
    "densenet": ARCHITECTURES["densenet"],
}


def accepted(steps: list[str]) -> bool:
    try:
        PassManager.parse(",".join(steps))
    except UsageError:
        return False
    return True


@st.composite
def pipelines(draw: st.DrawFn, pool: list[str]) -> str:
    """Up to seven passes; most of the time each can follow those before it, so that not nearly all are refused."""
    steps: list[str] = []
    for _ in range(draw(st.integers(1, 7))):
        follows = [step for step in pool if accepted([*steps, step])]
        steps.append(draw(st.sampled_from(follows if follows and draw(st.integers(0, 9)) else pool)))
    return ",".join(steps)


def tried(name: str, pipeline: str) -> tuple[Graph, Graph, Context] | None:
    """Run a pipeline; None where it is refused. Whatever else fails, fails the test."""
    first, context = calibrated(MODELS[name](), 24)
    graph = first.copy()
    try:
        manager = PassManager.parse(pipeline)
    except UsageError as error:
        assert error.hint, f"{error} says no way out"
        return None
    PassManager(manager.passes, fingerprint=True).run(graph, context)
    return first, graph, context


def outputs(graph: Graph, context: Context) -> list[np.ndarray]:  # type: ignore[type-arg]
    assert context.calibration is not None
    feeds = next(context.calibration.batches(4))
    return list(OrtRunner(1).session(graph, exact=True).run(feeds).values())


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.sampled_from(sorted(MODELS)), pipelines(EXACT + REMOVING))
@example("residual", "select-channels{keep=0.7},remove-channels,select-channels{keep=0.7},remove-channels")
@example(
    "shuffle", "fold-batch-norm,select-channels{keep=0.7},remove-channels,sample-inputs,select-channels,drop-samplers"
)
def test_exact_passes_and_removals_equal_the_first_graph_with_zeros(name: str, pipeline: str) -> None:
    found = tried(name, pipeline)
    if found is None:
        return
    first, graph, context = found
    channels = analyse(first)
    left = {n: origin for n, origin in context.plan.changes.items() if n in channels.context.labels}
    keep = class_mask(channels, left)
    assert expresses(channels, keep, left, graph.tensors()) or "sample-inputs" in pipeline
    kept = {group.name: group.cells[keep[group.cells]] for group in channels.groups}
    for wanted, got in zip(outputs(masked(first, channels, kept), context), outputs(graph, context), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.sampled_from(sorted(MODELS)), pipelines(EXACT + REMOVING + LOSSY))
@example("residual", "select-channels{keep=0.6},remove-channels,select-channels{keep=0.6},remove-channels,reconstruct")
@example("plain", "decompose{forms=low-rank,share=0.8},select-channels{keep=0.7},remove-channels,reconstruct")
def test_reconstruction_never_leads_away_from_the_original(name: str, pipeline: str) -> None:
    found = tried(name, f"{pipeline},reconstruct")
    if found is None:
        return
    _, graph, context = found
    without = tried(name, pipeline)
    assert without is not None and context.plan.reference is not None
    judged = judge(context.plan.reference.graph, context.judging(128), context.runner)
    assert judged.of(graph) <= judged.of(without[1]) * (1 + 1e-6) + 1e-12


@pytest.mark.parametrize("step", sorted({part.split("{")[0] for part in EXACT + REMOVING + LOSSY}))
def test_every_pass_occurs(step: str) -> None:
    assert parse(step, known_passes())[0].name == step
