"""``particle``: patterns of what goes are drawn, weighted and perturbed until those that cost little are left."""

from functools import partial

from ..analysis.subsets.particles import filtered
from .criterion import FROM_MOMENTS, ByReaders, Ranks
from .evidence import SAMPLES, Evidence
from .finalists import ranked


class _Particle(ByReaders):
    def rank(self, evidence: Evidence) -> Ranks:
        """Judge all particles on cached statistics, and those that are left at last by running the whole network."""
        return ranked(filtered, evidence.readers, evidence.form, evidence.rng, evidence.repaired_divergence)


PARTICLE = _Particle(
    "particle",
    'Anwar, Hwang, Sung, "Structured pruning of deep convolutional neural networks", ACM JETC 13(3) 2017, '
    "arXiv 1512.08571",
    FROM_MOMENTS | {SAMPLES},
    partial(ranked, filtered),
)
