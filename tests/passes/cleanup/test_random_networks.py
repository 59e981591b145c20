"""The exact passes on networks drawn from a grammar: no output changes."""

import onnx
from hypothesis import HealthCheck, given, settings
from oracle import distance
from zoo import feeds
from zoo.grammar import networks

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.frontends.load import load
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager

EXACT = "fold-constants,fold-batch-norm,fold-padding,remove-dead-channels,merge-duplicate-channels"
TOLERANCE = 1e-4  # random networks may cancel


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_exact_passes_change_no_output(model: onnx.ModelProto) -> None:
    runner = OrtRunner(1)
    original, _ = load(model, runner)
    graph = original.copy()
    PassManager.parse(EXACT).run(graph, Context(runner, original))
    assert distance(original, graph, feeds(model, seed=0)) < TOLERANCE
