"""PyTorch computes the same outputs, loss and slopes as onnxruntime."""

import digits
import numpy as np
import pytest

pytest.importorskip("torch")

from oracle import graph_of
from zoo import ZOO, feeds

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Feeds
from optimise_onnx.ir.runner import Runner
from optimise_onnx.ir.shapes import concrete, input_sizes
from optimise_onnx.passes.analysis.gradients.onnx_objective import OnnxObjective
from optimise_onnx.passes.analysis.gradients.task import Task
from optimise_onnx.passes.reconstruct.tune import Tune
from optimise_onnx.passes.reconstruct.tuning.weights import tunable
from optimise_onnx.tools.gradients import differentiator
from optimise_onnx.tools.settings import TORCH, Running


def test_loss_and_slopes_are_the_same() -> None:
    shared = digits.context(64)
    graph = digits.run("select-channels{keep=0.4},remove-channels,reconstruct", shared)
    agree(Tune(batch=16)._task(graph, shared), next(iter(shared.fitting().batches(16))), shared.runner)


@pytest.mark.parametrize("name", ["unet", "vit"])
def test_loss_and_slopes_are_the_same_where_a_model_computes_shapes(name: str) -> None:
    model = ZOO[name]()
    graph = graph_of(model)
    original, fed = graph.copy(), feeds(model, seed=0)
    weights, tensors = [tensor.name for tensor in tunable(graph)], original.tensors()
    for weight in weights:
        original.set_array(tensors[weight], tensors[weight].array * np.float32(1.1))
    batch = len(next(iter(fed.values())))
    shapes = concrete(graph, input_sizes(graph, batch))
    agree(Task(graph, shapes, original, {}, {graph.outputs[0].name: 1.0}, weights, batch), fed, OrtRunner(1))


def agree(task: Task, samples: Feeds, runner: Runner) -> None:
    """Hold PyTorch's loss and slopes against onnxruntime's."""
    make = differentiator(Running(tune_on=TORCH))
    assert make is not None
    here, there = OnnxObjective(task, runner), make(task, runner)
    losses = [each.slopes(samples, each.start()) for each in (here, there)]
    assert float(losses[1][0]) == pytest.approx(losses[0][0], rel=1e-4)
    for name, slope in losses[0][1].items():
        found = there.arrays.read(losses[1][1][name])
        np.testing.assert_allclose(found, slope, rtol=1e-3, atol=1e-4 * np.abs(slope).max())
