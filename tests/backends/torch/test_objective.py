"""PyTorch computes the same outputs, loss and slopes as onnxruntime."""

import digits
import numpy as np
import pytest

pytest.importorskip("torch")

from optimise_onnx.passes.reconstruct.tune import Tune
from optimise_onnx.passes.reconstruct.tuning.onnx_objective import OnnxObjective
from optimise_onnx.tools.gradients import differentiator
from optimise_onnx.tools.settings import TORCH, Running


def test_loss_and_slopes_are_the_same() -> None:
    shared = digits.context(64)
    graph = digits.run("select-channels{keep=0.4},remove-channels,reconstruct", shared)
    samples = next(iter(shared.fitting().batches(16)))
    task = Tune(batch=16)._task(graph, shared)
    make = differentiator(Running(tune_on=TORCH))
    assert make is not None
    here, there = OnnxObjective(task, shared.runner), make(task, shared.runner)
    losses = [each.slopes(samples, each.start()) for each in (here, there)]
    assert float(losses[1][0]) == pytest.approx(losses[0][0], rel=1e-4)
    for name, slope in losses[0][1].items():
        found = there.arrays.read(losses[1][1][name])
        np.testing.assert_allclose(found, slope, rtol=1e-3, atol=1e-4 * np.abs(slope).max())
