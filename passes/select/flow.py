"""``flow``: norms of the weights that write a channel times norms of those that read it; needs no data."""

from dataclasses import dataclass

import numpy as np

from .additive import rounds_by_cost, unit_costs
from .criterion import FROM_WEIGHTS, Ranks
from .evidence import Evidence


@dataclass(frozen=True)
class Flow:
    """The product of SynFlow (squares in place of absolute values), over the two layers on both sides of a channel.

    A reader's share is the relative squared error of zeroing the channel where what its writers read has mean square 1
    and no correlation. A channel that nothing or only zeros write costs nothing, which the norms of its readers alone
    do not tell.
    """

    name: str = "flow"
    paper: str = (
        'Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow", '
        "NeurIPS 2020, arXiv 2006.05467"
    )
    needs: frozenset[str] = FROM_WEIGHTS

    def rank(self, evidence: Evidence) -> Ranks:
        """Order the units of one group; see :data:`Ranks`."""
        cells, width = evidence.form
        readers = evidence.readers
        units = evidence.strengths[evidence.group.cells.ravel()]
        outside = float(units.mean())  # of a reader's rows that belong to other groups
        energy = [np.where(reader.unit >= 0, units[reader.unit], outside) for reader in readers]
        costs = unit_costs([r.weight for r in readers], [r.unit for r in readers], energy, cells * width)
        return rounds_by_cost(costs, cells)


FLOW = Flow()
