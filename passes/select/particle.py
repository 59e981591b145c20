"""``particle``: patterns of what goes are drawn, weighted and perturbed until those that cost little are left."""

from collections.abc import Sequence

import numpy as np

from ..analysis.channels.readers import Reader
from ..analysis.subsets.particles import filtered
from .activation import activation
from .conditional import compensated_curve, conditioned
from .criterion import FROM_MOMENTS, ByReaders, Ranks
from .evidence import SAMPLES, Evidence
from .finalists import Network, in_quarters


def particle(
    readers: Sequence[Reader], form: tuple[int, int], rng: np.random.Generator, network: Network | None = None
) -> Ranks:
    """Rank by a particle filter; see :mod:`.finalists`.

    The curve is the compensated loss (methods.md#loss). Without covariances: :func:`activation`.
    """
    parts = conditioned(readers)
    if not parts:
        return activation(readers, form, rng)
    rounds = in_quarters(filtered, parts, form, rng, network)
    return rounds, compensated_curve(parts, rounds)


class _Particle(ByReaders):
    def rank(self, evidence: Evidence) -> Ranks:
        """Judge all particles on cached statistics, and those that are left at last by running the whole network."""
        return particle(evidence.readers, evidence.form, evidence.rng, evidence.repaired_divergence)


PARTICLE = _Particle(
    "particle",
    'Anwar, Hwang, Sung, "Structured pruning of deep convolutional neural networks", ACM JETC 13(3) 2017, '
    "arXiv 1512.08571",
    FROM_MOMENTS | {SAMPLES},
    particle,
)
