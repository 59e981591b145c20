"""What computes gradients: onnxruntime, unless PyTorch is asked for."""

from __future__ import annotations

from collections.abc import Callable

from ..ir.errors import UsageError
from ..ir.runner import Runner
from ..passes.reconstruct.tuning.task import Objective, Task
from .settings import TORCH, Running


def differentiator(running: Running) -> Callable[[Task, Runner], Objective] | None:
    """Return what makes a task's objective, None for the runner. Raises UsageError where PyTorch is not installed."""
    if running.tune_on != TORCH:
        return None
    try:
        from ..backends.torch.objective import TorchObjective
    except ImportError as error:
        hint = "pip install 'optimise-onnx[torch]'"
        raise UsageError("tune_on=torch needs PyTorch, which is not installed", hint=hint) from error

    def objective(task: Task, _runner: Runner) -> Objective:
        kept = {name: (left.axis, left.places) for name, left in task.kept.items() if left is not None}
        return TorchObjective(task.graph, task.original, kept, task.factors, task.weights)

    return objective
