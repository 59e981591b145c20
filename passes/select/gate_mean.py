"""``gate-mean``: how far the gates over a channel are open on the samples."""

from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array
from .additive import rounds_by_cost
from .criterion import Ranks
from .evidence import SAMPLES, WEIGHTS, Evidence


@dataclass(frozen=True)
class GateMean:
    """The mean of the network's own squeeze-and-excitation gates over all members of a group; see
    :func:`..analysis.channels.squeeze_excite.gates`.

    The published score is of gates that are trained into the network with the labels. Where it has none over a group,
    ours are a factor on every channel where layers read it, fitted to the network's own outputs against a small price
    on all: see :attr:`.Study.fitted_gates`. They depend on no sample, and nothing else is trained with them.
    """

    name: str = "gate-mean"
    paper: str = 'Chang, Lu, Xue, Wei, Wei, "UCP: Uniform channel pruning", arXiv 2010.01251'
    needs: frozenset[str] = frozenset({WEIGHTS, SAMPLES})

    def rank(self, evidence: Evidence) -> Ranks:
        """Order the units of one group; see :data:`Ranks`."""
        own = evidence.squeeze_excite
        return rounds_by_cost(_means(evidence, own) if own else evidence.fitted_gates, evidence.form[0])


def _means(evidence: Evidence, gates: tuple[str, ...]) -> Array:
    """Return the mean gate of every unit, (units,); 1 where none is over it."""
    size = int(np.prod(evidence.form))
    total, count = np.zeros(size), np.zeros(size)
    for batch in evidence.values(gates):
        for name, values in batch.items():
            unit = np.broadcast_to(evidence.units(name), values.shape)
            over = unit >= 0
            total += np.bincount(unit[over], values[over], size)
            count += np.bincount(unit[over], minlength=size)
    return np.where(count > 0, total / np.maximum(count, 1), 1.0)


GATE_MEAN = GateMean()
