"""Steps recorded on a GPU give what steps one by one give."""

from functools import partial

import digits
import pytest

pytest.importorskip("torch")

import torch

from optimise_onnx.backends.torch.recorded import Recorded
from optimise_onnx.passes.reconstruct.tune import Tune
from optimise_onnx.passes.reconstruct.tuning.optimiser import Layout, Optimiser
from optimise_onnx.passes.reconstruct.tuning.search import advanced
from optimise_onnx.tools.gradients import TorchDifferentiator


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_recorded_step_is_the_same_step() -> None:
    shared = digits.context(64)
    graph = digits.run("select-channels{keep=0.4},remove-channels,reconstruct", shared)
    objective = TorchDifferentiator()(Tune(batch=16)._task(graph, shared), shared.runner)
    optimiser, weights, arrays = Optimiser(1e-3, 1e-3), objective.start(), objective.arrays
    layout, feeds = Layout.of(weights), arrays.placed(next(iter(shared.fitting().batches(16))))
    step = partial(advanced, objective, optimiser, layout)
    recorded = Recorded(step)
    vector = arrays.joined([weights[name] for name in layout.shapes])
    one = other = {**optimiser.start(vector), "average": vector}
    for number in range(1, 6):
        rates = optimiser.rates(number, 1.0) | {"left": 0.5}
        one, other = step(feeds, one, rates), recorded(feeds, other, rates)
    assert not recorded._plain
    torch.testing.assert_close(other["average"], one["average"], rtol=1e-3, atol=1e-4)
    assert (one["average"] != vector).float().mean() > 0.5
