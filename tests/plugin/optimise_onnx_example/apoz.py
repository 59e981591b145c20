"""A criterion that needs samples: channels go that are zero most often."""

from dataclasses import dataclass

import numpy as np

from optimise_onnx.passes.select.additive import rounds_by_cost
from optimise_onnx.passes.select.criterion import Ranks
from optimise_onnx.passes.select.evidence import SAMPLES, Evidence


@dataclass(frozen=True)
class Apoz:
    """The average percentage of zeros among a channel's activations."""

    name: str = "apoz"
    paper: str = 'Hu et al., "Network trimming", arXiv 1607.03250'
    needs: frozenset[str] = frozenset({SAMPLES})

    def rank(self, evidence: Evidence) -> Ranks:
        """Count what is not zero, in every tensor that the group's readers read."""
        cells, width = evidence.form
        alive = np.zeros(cells * width)
        for batch in evidence.activations():
            for name, values in batch.items():
                unit = np.broadcast_to(evidence.units(name), values.shape)
                alive += np.bincount(unit[unit >= 0], values[unit >= 0] != 0, cells * width)
        return rounds_by_cost(alive / max(alive.sum(), 1), cells)


APOZ = Apoz()
