"""What a criterion is: it has a name and a paper, says what evidence it needs, and ranks the units of one group."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from .evidence import COVARIANCE, WEIGHTS, Evidence

Ranks = tuple[Array, Array]
"""Rounds (width, cells) of unit numbers, the first goes first, one unit of each cell in every round; and the
(width + 1,) loss after 0, 1, 2, … rounds, from 0 and never falling."""

_FALLS = 1e-9

FROM_WEIGHTS = frozenset({WEIGHTS})
FROM_MOMENTS = frozenset({WEIGHTS, COVARIANCE})


@runtime_checkable
class Criterion(Protocol):
    """Ranks channels. It keeps nothing between two calls, and takes chance from ``evidence.rng`` alone."""

    @property
    def name(self) -> str:
        """Say what it is called in pipelines."""

    @property
    def paper(self) -> str:
        """Say who has published it, and where."""

    @property
    def needs(self) -> frozenset[str]:
        """Name what it reads of the evidence: some of :data:`optimise_onnx.passes.select.evidence.NEEDS`."""

    def rank(self, evidence: Evidence) -> Ranks:
        """Order the units of one group; see :data:`Ranks`."""


@dataclass(frozen=True)
class ByReaders:
    """A criterion that is a function of a group's readers, its form (cells, width) and chance (arrays only)."""

    name: str
    paper: str
    needs: frozenset[str]
    score: Callable[[Sequence[Reader], tuple[int, int], np.random.Generator], Ranks]

    def rank(self, evidence: Evidence) -> Ranks:
        """Score the readers."""
        return self.score(evidence.readers, evidence.form, evidence.rng)


def fault(ranks: Ranks, form: tuple[int, int]) -> str:
    """Say what keeps an order and a curve from being :data:`Ranks` of a group of ``form`` (cells, width), '' if
    nothing does.
    """
    order, curve = (np.asarray(part) for part in ranks)
    cells, width = form
    if order.shape != (width, cells):
        return f"its order has the shape {list(order.shape)}, not [width, cells] = [{width}, {cells}]"
    if order.dtype.kind not in "iu" or not np.array_equal(np.sort(order.ravel()), np.arange(width * cells)):
        return "its order does not list every unit once"
    if not np.array_equal(np.sort(order // width, 1), np.tile(np.arange(cells), (width, 1))):
        return "a round of its order does not take one unit of every cell"
    if curve.shape != (width + 1,) or not np.isfinite(curve).all():
        return f"its curve is not {width + 1} finite losses"
    if curve[0] != 0 or (np.diff(curve) < -_FALLS * max(1.0, float(np.abs(curve).max()))).any():
        return "its curve does not rise from 0"
    return ""
