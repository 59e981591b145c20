"""``gates``: how firmly gates hold a channel open that are trained within half of the network's MACs."""

from dataclasses import dataclass

from .additive import rounds_by_cost
from .criterion import FROM_MOMENTS, Ranks
from .evidence import SAMPLES, Evidence


@dataclass(frozen=True)
class TrainedGates:
    """The price of a channel's MACs times the odds that it stays, see
    :func:`..analysis.statistics.gate_training.train`. Zero-out and similar compete in every gate.

    How much is to go is not known here: half of the MACs are. ``allocation=gates`` trains within the target.
    """

    name: str = "gates"
    paper: str = "after Huang et al. (AFCP), IEEE TCAD 2022"
    needs: frozenset[str] = FROM_MOMENTS | {SAMPLES}

    def rank(self, evidence: Evidence) -> Ranks:
        """Order the units of one group; see :data:`Ranks`."""
        return rounds_by_cost(evidence.gate_costs, evidence.form[0])


TRAINED_GATES = TrainedGates()
