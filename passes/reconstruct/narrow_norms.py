"""``narrow-norms``: let norms take the statistics of the channels that stay for those of all.

What removal writes is exact, and takes four more nodes over all channels. With u, s and r of
:mod:`..analysis.channels.rules.over_channels`, a norm of what stays is the same up to the factor s and the shift
(1 - r) u s, which differ from position to position. Their means over the samples become part of the norm's own factors.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir.errors import UsageError
from ...ir.feeds import Calibration, batch_size
from ...ir.graph import Array, Graph
from ..analysis.channels.opened_norms import OpenedNorm, opened_norms, replace_opened
from ..base import Context, Outcome


@dataclass(frozen=True)
class NarrowNorms:
    """Narrow norms whose error, a share of their power on samples that were not fitted, is at most ``most``."""

    most: float = 0.01
    batch: int = 32
    name: ClassVar[str] = "narrow-norms"
    preserves: ClassVar[frozenset[str]] = frozenset({"reference", "written"})

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite ``graph``; without calibration data, do nothing. Raises UsageError for a wrong option."""
        if not 0 <= self.most < 1 or self.batch < 1:
            raise UsageError("most must be a share below 1, and batch at least 1")
        norms = list(opened_norms(graph))
        if not norms:
            return Outcome(False)
        if context.calibration is None:
            return Outcome(False, (f"no calibration data: {len(norms)} norms keep the statistics of all channels",))
        fitted = self._effects(graph, norms, context.fitting(), context)
        seen = self._effects(graph, norms, context.judging(128), context)
        narrowed = 0
        for norm, fit, judged in zip(norms, fitted, seen, strict=True):
            scale, shift = (float(value) for value in fit[1] / fit[0])
            if error(judged, scale, shift) <= self.most:
                replace_opened(graph, norm, scale, shift)
                narrowed += 1
        graph.clean()
        notes = (f"{narrowed} of {len(norms)} norms take the statistics of the channels that stay",)
        return Outcome(narrowed > 0, notes, {"norms_narrowed": narrowed})

    def _effects(self, graph: Graph, norms: list[OpenedNorm], samples: Calibration, context: Context) -> list[Array]:
        """Return the :func:`moments` of every norm's factor and shift over some samples."""
        session = context.runner.session(graph, outputs=[norm.moved.name for norm in norms])
        found = [np.zeros((3, 2)) for _ in norms]
        for feeds in samples.batches(batch_size(graph, self.batch)):
            values = session.run(feeds)
            for norm, total in zip(norms, found, strict=True):
                total += moments(values[norm.moved.name], norm.share)
        return found


def moments(moved: Array, share: float) -> Array:
    """Return how many positions there are, and the sums of s and (1 - r) u s and of their squares, (3, 2) of float64.

    ``moved`` is u, of any shape, and ``share`` is r.
    """
    u = moved.astype(np.float64).ravel()
    factor = 1 / np.sqrt(share * (1 + (1 - share) * u**2))
    both = np.stack([factor, (1 - share) * u * factor])
    return np.stack([np.full(2, float(u.size)), both.sum(1), (both**2).sum(1)])


def error(exact: Array, scale: float, shift: float) -> float:
    """Return the share of a norm's power that a constant factor and shift miss: what they scale has variance 1.

    ``exact`` are the :func:`moments` of the factors and shifts that are right.
    """
    constant = np.array([scale, shift])
    count, total, squares = exact
    return float((squares - 2 * constant * total + count * constant**2).sum() / squares.sum())
