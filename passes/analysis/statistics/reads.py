"""Where layers read channels, what is read there, and what other channels tell about each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ....ir.errors import UnsupportedOpError
from ....ir.feeds import Feeds
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from ....ir.shapes import Shape, concrete, input_sizes
from ..channels.groups import Channels
from .input_moments import LARGEST

_RIDGE = 1e-3
_LEAST = 1e-12


@dataclass(frozen=True)
class Read:
    """Operand ``operand`` of ``node``, of a ``shape`` that ``atoms`` (classes) broadcast to.

    ``axis``: the one along which classes differ, None where it is not one alone.
    """

    node: str
    operand: int
    source: str
    shape: Shape
    atoms: Array
    axis: int | None

    @property
    def key(self) -> str:
        """Tell it from others."""
        return f"{self.node}_{self.operand}"


@dataclass(frozen=True)
class Affine:
    """``mix @ x + rest`` over the entries ``x`` along an axis: ``mix`` (entries, entries), ``rest`` (entries,)."""

    mix: Array
    rest: Array

    @property
    def arrays(self) -> tuple[Array, Array]:
        """Both in float32, the rest as a column."""
        return self.mix.astype(np.float32), self.rest[:, None].astype(np.float32)


@dataclass(frozen=True)
class ReadMoments:
    """``mean`` has the shape of a read's classes; ``cov`` (entries, entries) along its axis, None where it has none."""

    mean: Array
    cov: Array | None


def reads(graph: Graph, channels: Channels, batch: int) -> list[Read]:
    """List the operands of float32 that are summed over channels, at the shapes of a batch.

    One whose classes do not broadcast to its shape, as where channels and samples share an axis, is left out. Raises
    UnsupportedOpError where there is none.
    """
    shapes, found = concrete(graph, input_sizes(graph, batch)), []
    for end in channels.context.contractions:
        source, atoms = graph.node(end.node).inputs[end.operand], end.labels.atoms
        shape = shapes.get(source.name, ())
        fits = atoms.ndim == len(shape) and all(a in (1, b) for a, b in zip(atoms.shape, shape, strict=True))
        if not fits or source.dtype != np.float32 or source.is_constant:
            continue
        along = end.labels.varying
        axis = along[0] if len(along) == 1 and shape[along[0]] <= LARGEST else None
        found.append(Read(end.node, end.operand, source.name, shape, atoms, axis))
    if not found:
        raise UnsupportedOpError("no layer reads channels of float32, so there is nothing to put gates on")
    return found


def read_moments(
    graph: Graph, found: Sequence[Read], batches: Iterable[Feeds], runner: Runner
) -> dict[str, ReadMoments]:
    """Return the moments of what is read, by :attr:`Read.key`, over samples and the axes along which classes agree."""
    session = runner.session(graph, outputs=list(dict.fromkeys(read.source for read in found)))
    count = {read.key: 0 for read in found}
    total: dict[str, Array] = {read.key: np.zeros(read.atoms.shape) for read in found}
    squares = {r.key: np.zeros((r.shape[r.axis],) * 2) for r in found if r.axis is not None}
    for feeds in batches:
        values = session.run(feeds)
        for read in found:
            value = values[read.source].astype(np.float64)
            alike = tuple(axis for axis, size in enumerate(read.atoms.shape) if size == 1)
            count[read.key] += value.size // read.atoms.size
            total[read.key] += value.sum(alike, keepdims=True)
            if read.axis is not None:
                flat = np.moveaxis(value, read.axis, 0).reshape(value.shape[read.axis], -1)
                squares[read.key] += flat @ flat.T
    return {read.key: _moments(read, count[read.key], total[read.key], squares) for read in found}


def _moments(read: Read, count: int, total: Array, squares: Mapping[str, Array]) -> ReadMoments:
    mean = total / count
    if read.axis is None:
        return ReadMoments(mean, None)
    flat = mean.ravel()
    return ReadMoments(mean, squares[read.key] / count - np.outer(flat, flat))


def copied(read: Read, moments: ReadMoments, partner: Array) -> Affine:
    """Write every entry as a copy of its class' ``partner`` (classes,) times a factor, or as its mean where that is -1.

    Of classes with several entries, each is a copy of the one in the same place.
    """
    assert moments.cov is not None
    atoms, mean = read.atoms.ravel(), moments.mean.ravel()
    order = np.argsort(atoms, kind="stable")
    ranked = atoms[order]
    number = np.empty(len(atoms), np.int64)
    number[order] = np.arange(len(atoms)) - np.searchsorted(ranked, ranked)
    wanted = partner[atoms]
    at = np.minimum(np.searchsorted(ranked, wanted) + number, len(atoms) - 1)
    entries = np.flatnonzero((wanted >= 0) & (ranked[at] == wanted))
    others = order[at[entries]]
    mix, variance = np.zeros_like(moments.cov), moments.cov[others, others]
    mix[entries, others] = moments.cov[entries, others] / np.where(variance > 0, variance, np.inf)
    return Affine(mix, mean - mix @ mean)


def regressed(read: Read, moments: ReadMoments, stays: Array) -> Affine:
    """Write every entry that goes as a regression on all that stay, ``stays`` (classes,) bool."""
    assert moments.cov is not None
    here, mean = stays[read.atoms.ravel()], moments.mean.ravel()
    mix, kept = np.zeros_like(moments.cov), moments.cov[np.ix_(here, here)]
    kept[np.diag_indices(len(kept))] += _RIDGE * np.diagonal(moments.cov).mean() + _LEAST
    mix[np.ix_(~here, here)] = np.linalg.solve(kept, moments.cov[np.ix_(here, ~here)]).T
    return Affine(mix, mean - mix @ mean)
