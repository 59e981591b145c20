"""``reconstruct``: re-solve every layer behind a removal by ridge least squares, front to back.

Inputs come from the pruned graph as far as it is solved, targets from the original (methods.md#drift),
so that each layer also makes up for what the layers before it could not. A layer that only activations part from the
next dense one is then fitted to what that one should give, together with it. A sweep is kept only if it brings the
outputs nearer to the original's on samples that the channels were not chosen by.
"""

from dataclasses import dataclass
from typing import ClassVar

from ...ir.errors import UsageError
from ...ir.feeds import Calibration
from ...ir.graph import Graph
from ..analysis.statistics.judge import judge
from ..base import Context, Outcome
from .standing import standing
from .sweep import Sweep
from .weight_only import repair

WEIGHT_ONLY_RIDGE = 1e-2


@dataclass(frozen=True)
class Reconstruct:
    """Solve again. ``ridge``: pull towards the old weights, relative to the mean variance of a layer's inputs;
    ``rounds`` (0: none) of ``steps`` each fit layers to the output of the next one; ``sweeps``: how often all of it.
    """

    ridge: float = 1e-3
    rounds: int = 1
    steps: int = 3
    sweeps: int = 1
    samples: int = 128
    name: ClassVar[str] = "reconstruct"
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    preserves: ClassVar[frozenset[str]] = frozenset({"reference", "written"})

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite weights and biases; where nothing was removed or rewritten, do nothing. Raises UsageError."""
        if self.ridge < 0 or self.rounds < 0 or min(self.steps, self.sweeps, self.samples) < 1:
            raise UsageError("ridge and rounds must not be negative, steps, sweeps and samples at least 1")
        if not context.plan.kept and not context.plan.formed:
            return Outcome(False, ("nothing was removed, so nothing to reconstruct",))
        if context.calibration is None:
            return _from_weights(graph, context)
        return self._from_data(graph, context, context.solving())

    def _from_data(self, graph: Graph, context: Context, calibration: Calibration) -> Outcome:
        reference = context.plan.reference
        assert reference is not None  # the manager has checked what the pass needs
        examiner = judge(reference.graph, context.judging(self.samples), context.runner)
        first = error = examiner.of(graph)
        solved = chained = 0
        for _ in range(self.sweeps):
            tried = graph.copy()
            counts = Sweep(tried, context, calibration, self.ridge, self.rounds, self.steps).solve()
            found = examiner.of(tried)
            if not found < error:
                break
            graph.become(tried)
            error, (solved, chained) = found, counts
        notes = (f"{solved} layers re-solved, {chained} of them for the output of the next",)
        figures = {"layers_solved": solved, "layers_chained": chained, "error_before": first, "error_after": error}
        return Outcome(solved > 0, notes, figures)


def _from_weights(graph: Graph, context: Context) -> Outcome:
    reference, keep = context.plan.reference, context.plan.class_mask(graph)
    if reference is None or keep is None:
        note = "no calibration data, and channels are gone that the original's groups cannot tell apart"
        return Outcome(False, (f"{note}: nothing repaired",))
    here = standing(graph, reference.graph, context.plan.formed)
    repaired = repair(graph, reference.graph, reference.channels, keep, WEIGHT_ONLY_RIDGE, here)
    return Outcome(repaired > 0, (f"no calibration data: {repaired} layers repaired from weights alone",))
