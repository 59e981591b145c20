"""``reconstruct``: re-solve every layer behind a removal by ridge least squares, front to back.

Inputs come from the pruned graph as far as it is solved, targets from the original (accumulated-error correction, F5),
so that each layer also makes up for what the layers before it could not. A layer that only activations part from the
next dense one is then fitted to what that one should give, together with it.
"""

from dataclasses import dataclass
from typing import ClassVar

from ...ir.errors import UsageError
from ...ir.graph import Graph
from ..base import Context, Outcome
from .sweep import Sweep
from .weight_only import repair

WEIGHT_ONLY_RIDGE = 1e-2


@dataclass(frozen=True)
class Reconstruct:
    """Solve again. ``ridge``: pull towards the old weights, relative to the mean variance of a layer's inputs;
    ``rounds`` (0: none) of ``steps`` each fit layers to the output of the next one.
    """

    ridge: float = 1e-3
    rounds: int = 1
    steps: int = 3
    name: ClassVar[str] = "reconstruct"

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite weights and biases; without a removal before it, do nothing. Raises UsageError."""
        if self.ridge < 0 or self.rounds < 0 or self.steps < 1:
            raise UsageError(f"ridge={self.ridge}, rounds={self.rounds}, steps={self.steps} are out of range")
        if "dense" not in context.decisions:
            return Outcome(False, ("nothing was removed, so nothing to reconstruct",))
        if context.calibration is None:
            repaired = repair(
                graph,
                context.decisions["dense"],
                context.decisions["ranking"].channels,
                context.decisions["keep"],
                WEIGHT_ONLY_RIDGE,
            )
            return Outcome(repaired > 0, (f"no calibration data: {repaired} layers repaired from weights alone",))
        sweep = Sweep(graph, context, context.calibration, self.ridge, self.rounds, self.steps)
        solved, chained = sweep.solve()
        notes = (f"{solved} layers re-solved, {chained} of them for the output of the next",)
        return Outcome(solved > 0, notes, {"layers_solved": solved, "layers_chained": chained})
