"""``particle``: patterns of what goes are drawn, weighted and perturbed until those that cost little are left."""

from .criterion import FROM_MOMENTS, ByReaders
from .genetic import quarters
from .particle_search import filtered

PARTICLE = ByReaders(
    "particle",
    'Anwar, Hwang, Sung, "Structured pruning of deep convolutional neural networks", ACM JETC 13(3) 2017, '
    "arXiv 1512.08571",
    FROM_MOMENTS,
    quarters(filtered),
)
