"""A task's loss and slopes as one ONNX graph, on whatever the runner runs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....ir.adjoint.program import Program
from ....ir.feeds import Feeds
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from ....ir.shapes import Shape
from .arrays import NumpyArrays
from .task import Task, left

_LOSS = "loss_of_tuning"
_SLOPE = "slope_of_{}"


class OnnxObjective:
    """Runs the original, then one graph of the forward pass, the loss and the slopes, whose inputs are the weights.

    Raises UnsupportedOpError at a node without a gradient.
    """

    def __init__(self, task: Task, runner: Runner) -> None:
        self._task, self.arrays = task, NumpyArrays()
        self._original = runner.session(task.original, outputs=list(task.factors))
        shapes, program = task.shapes, Program(task.graph, task.shapes, task.weights)
        sheet, losses, slopes = program.sheet, [], {}
        self._wanted = {name: program.input(f"wanted_of_{name}", shapes[name]) for name in task.factors}
        for name, factor in task.factors.items():
            error = sheet.add("Sub", name, self._wanted[name])
            slopes[name] = sheet.add("Mul", error, sheet.constant(2 * factor / task.batch))
            losses.append(sheet.sum(sheet.add("Mul", error, slopes[name]), range(len(shapes[name]))))
        found = program.backward(slopes)
        self._slopes = {name: _SLOPE.format(name) for name in found}
        twice = sheet.add("Mul", sheet.total(losses), sheet.constant(0.5))
        outputs = {_LOSS: twice} | {self._slopes[name]: slope for name, slope in found.items()}
        self._session = runner.session(program.graph(outputs))

    def start(self) -> dict[str, Array]:
        """Return the weights as they are in the graph."""
        tensors = self._task.graph.tensors()
        return {name: tensors[name].array for name in self._task.weights}

    def slopes(self, feeds: Feeds, weights: Mapping[str, Array]) -> tuple[float, dict[str, Array]]:
        """Return the loss of a batch, and its slope by every weight that it depends on."""
        wanted = left(self._original.run(feeds), self._task.kept)
        given = {self._wanted[name]: values for name, values in wanted.items()}
        found = self._session.run({**feeds, **given, **weights})
        return float(found[_LOSS]), {name: found[slope] for name, slope in self._slopes.items()}

    def whole(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """Return the graph's weights, which are those being moved."""
        return dict(weights)


class OnnxDifferentiator:
    """Has the runner compute gradients."""

    def check(self, graph: Graph, shapes: Mapping[str, Shape], weights: Sequence[str], aimed: Sequence[str]) -> None:
        """Raise UnsupportedOpError that names a node without a gradient."""
        Program(graph, shapes, weights).backward({name: name for name in aimed})

    def __call__(self, task: Task, runner: Runner, /) -> OnnxObjective:
        """Return what computes the task's slopes."""
        return OnnxObjective(task, runner)
