"""``fisher``: how much the likelihood of the network's outputs depends on a channel, by gradients."""

from dataclasses import dataclass

from .additive import rounds_by_cost
from .criterion import Ranks
from .evidence import SAMPLES, WEIGHTS, Evidence


@dataclass(frozen=True)
class Fisher:
    """Half the diagonal of the Fisher matrix by masks: the divergence that zeroing adds, to second order.

    The published score takes the gradient of the labels' loss; this one needs none, see
    :func:`..analysis.statistics.fisher.fisher`.
    """

    name: str = "fisher"
    paper: str = (
        'Liu, Zhang, Kuang et al., "Group Fisher pruning for practical network compression", ICML 2021, '
        "arXiv 2108.00708"
    )
    needs: frozenset[str] = frozenset({WEIGHTS, SAMPLES})

    def rank(self, evidence: Evidence) -> Ranks:
        """Order the units of one group; see :data:`Ranks`."""
        return rounds_by_cost(evidence.fisher / 2, evidence.form[0])


FISHER = Fisher()
