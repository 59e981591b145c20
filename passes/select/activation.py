"""``activation``: weight norm times input energy."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from .additive import rounds_by_cost, unit_costs
from .criterion import FROM_MOMENTS, ByReaders


def activation(readers: Sequence[Reader], form: tuple[int, int], _rng: np.random.Generator) -> tuple[Array, Array]:
    """Squared weight norm times the channel's mean square activation (Sun et al., Wanda, arXiv 2306.11695).

    Each reader's whole counts as 1; a reader without data counts its weights alone.
    """
    energy = [_energy(reader) for reader in readers]
    costs = unit_costs([r.weight for r in readers], [r.unit for r in readers], energy, form[0] * form[1])
    return rounds_by_cost(costs, form[0])


def _energy(reader: Reader) -> Array | None:
    if reader.cov is None or reader.mean is None:
        return None
    variance: Array = np.diagonal(reader.cov) if reader.cov.ndim == 2 else reader.cov
    energy: Array = variance + reader.mean**2
    return energy


ACTIVATION = ByReaders(
    "activation",
    'Sun et al., "A simple and effective pruning approach for large language models" (Wanda), arXiv 2306.11695',
    FROM_MOMENTS,
    activation,
)
