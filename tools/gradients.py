"""What computes gradients: onnxruntime, unless PyTorch is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..ir.errors import UsageError
from ..ir.graph import Graph
from ..ir.runner import Runner
from ..ir.shapes import Shape, concrete, input_sizes, settled
from ..passes.analysis.gradients.task import Differentiator, Objective, Task
from .settings import TORCH, Running


def differentiator(running: Running) -> Differentiator | None:
    """Return what makes a task's objective, None for the runner. Raises UsageError where PyTorch is not installed."""
    if running.tune_on != TORCH:
        return None
    try:
        from ..backends.torch import objective as _installed  # noqa: F401
    except ImportError as error:
        hint = "pip install 'optimise-onnx[torch]'"
        raise UsageError("tune_on=torch needs PyTorch, which is not installed", hint=hint) from error
    return TorchDifferentiator()


@dataclass(frozen=True)
class TorchDifferentiator:
    """Has PyTorch compute gradients, on a GPU where there is one."""

    def check(self, graph: Graph, shapes: Mapping[str, Shape], _weights: Sequence[str], aimed: Sequence[str]) -> None:
        """Raise UnsupportedOpError that names a node which PyTorch does not run."""
        from ..backends.torch.forward import Forward

        Forward(settled(graph, shapes), "cpu", aimed)

    def __call__(self, task: Task, _runner: Runner, /) -> Objective:
        """Return what computes the task's slopes."""
        from ..backends.torch.objective import TorchObjective

        kept = {name: (left.axis, left.places) for name, left in task.kept.items() if left is not None}
        original = settled(task.original, concrete(task.original, input_sizes(task.original, task.batch)))
        return TorchObjective(settled(task.graph, task.shapes), original, kept, task.factors, task.weights)
