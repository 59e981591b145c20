"""Gauss-Newton on the first layer of a chain, so that the chain's output, not the layer's own, comes near its target.

With the last layer fixed and the activations' signs as they are, the output is linear in the first layer's weight
``W``: the squared error is minimised by conjugate gradients, preconditioned by ``inv(A) . inv(B)`` with ``A`` the
covariance of what the layer reads and ``B`` that of slopes at its output. Signs are taken anew at every step.
Samples kept apart end the search when their own error stops falling.

References: Martens, Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature", ICML 2015
(the preconditioner); Li et al., "BRECQ", ICLR 2021 (the block's output as the target). Without gradients of the task
or labels, and for weights of a pruned layer, it is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
from scipy.linalg import cho_solve

from ...ir.graph import Array
from ..analysis.layers.linear import Linear
from ..analysis.statistics.moments import factor
from ..analysis.statistics.spill import Shelf
from .derivatives import Derivatives, Passed
from .paired import Joint

_SLOPE_RIDGE = 1e-2
_LEAST_GAIN = 1e-4
_IN_MEMORY = 2**27  # bytes of what slopes depend on

Weights = tuple[Array, Array]
Inner = tuple[list[Array], list[Array]]


@dataclass(frozen=True, eq=False)
class Piece:
    """A batch: ``x`` (n, ...) read by the chain, ``y`` wanted from it, ``spots`` (n, p) positions that slopes are taken
    at, ``rows`` (n p, d) the first layer's inputs there.
    """

    x: Array
    y: Array
    spots: Array | None
    rows: Array


@dataclass
class _Search:
    """Direction and slopes of the step before."""

    weight: Array | None = None
    bias: Array | None = None
    slopes: tuple[Array, Array] | None = None
    power: float = 0.0
    curvature: Array | None = None


class JointFit:
    """Improves ``first`` (weight (1, d, m), bias (m,)) for a fixed last layer; ``train`` and ``held`` are batches.

    ``moments`` are those of the first layer's inputs, and ``ridge`` what they call for, relative.
    """

    def __init__(
        self,
        chain: Derivatives,
        layer: Linear,
        moments: Joint,
        ridge: float,
        train: Sequence[Piece],
        held: Sequence[Piece],
        rng: np.random.Generator,
    ) -> None:
        self._chain, self._layer, self._train, self._held, self._rng = chain, layer, train, held, rng
        self._mean = moments.x
        self._inputs, _ = factor(moments.xx, ridge)

    def inner(self, first: Weights, like: Array) -> Inner:
        """Return what the first layer gives for the samples to fit and those kept apart, batch by batch."""
        stored = self.stored(first, like)
        train, held = ([self._chain.head(piece.x, stored) for piece in part] for part in (self._train, self._held))
        return train, held

    def improve(self, first: Weights, inner: Inner, like: Array, last: Weights, steps: int) -> Weights:
        """Take up to ``steps`` steps and return the weights whose error on the held samples is least.

        ``inner`` is what ``first`` gives, and is changed. ``like`` is the first layer's stored weight, ``last`` the
        last layer's, stored form, and its bias.
        """
        search, best, least = _Search(), first, np.inf
        for step in range(steps + 1):
            error = sum(map(partial(self._error, last), inner[1], self._held))
            if not error < least * (1 - _LEAST_GAIN):
                break
            best, least = first, error
            moved = self._step(search, first, inner, like, last) if step < steps else None
            if moved is None:
                break
            first = moved
        return best

    def stored(self, weights: Weights, like: Array) -> Weights:
        """Turn a matrix and bias into the form of the stored weight ``like``."""
        return self._layer.weight(weights[0], like), weights[1].astype(like.dtype)

    def _error(self, last: Weights, inner: Array, piece: Piece) -> float:
        return _square(self._chain.tail(inner, last).out - piece.y)

    def _step(self, search: _Search, first: Weights, inner: Inner, like: Array, last: Weights) -> Weights | None:
        """Turn, and go where the linearised error is least; ``inner`` goes along. None where that leads nowhere."""
        shelf = Shelf(_IN_MEMORY)
        passed = [self._chain.tail(values, last, shelf) for values in inner[0]]
        self._turn(search, self._slopes(passed), passed)
        assert search.weight is not None and search.bias is not None
        shift = search.bias - self._mean @ search.weight
        changes = self.inner((search.weight[None], shift), like)
        along = across = 0.0
        for values, at, piece in zip(changes[0], passed, self._train, strict=True):
            moved = self._chain.change(values, at)
            along -= float(np.vdot(at.out - piece.y, moved))
            across += _square(moved)
        if not 0 < along < np.inf or not 0 < across < np.inf:
            return None
        length = along / across
        for values, change in zip(chain(*inner), chain(*changes), strict=True):
            values += length * change
        return first[0] + length * search.weight, first[1] + length * shift

    def _slopes(self, passed: Sequence[Passed]) -> tuple[Array, Array]:
        """Return the slope of half the squared error by the weight (d, m), inputs centred, and by the bias (m,)."""
        weight, bias = np.zeros((self._layer.fan_in, self._layer.fan_out)), np.zeros(self._layer.fan_out)
        for piece, at in zip(self._train, passed, strict=True):
            back = self._layer.outputs(self._chain.adjoint(at.out - piece.y, at), piece.spots)[0]
            total = back.sum(0, dtype=np.float64)
            weight += piece.rows.T @ back - np.outer(self._mean, total)
            bias += total
        return weight, bias

    def _turn(self, search: _Search, slopes: tuple[Array, Array], passed: Sequence[Passed]) -> None:
        """Set the next direction: preconditioned, and conjugate to the one before (Polak-Ribiere)."""
        if search.curvature is None:
            noise = np.asarray(self._rng.standard_normal(passed[0].out.shape), np.float32)
            back = self._layer.outputs(self._chain.adjoint(noise, passed[0]), self._train[0].spots)[0]
            search.curvature, _ = factor(np.asarray(back.T @ back, np.float64) / len(back), _SLOPE_RIDGE)
        outward = (search.curvature, True)
        weight = cho_solve(outward, cho_solve((self._inputs, True), slopes[0]).T).T
        bias = cho_solve(outward, slopes[1])
        power = _dot(slopes, (weight, bias))
        if search.slopes is None or search.weight is None or search.bias is None:
            search.weight, search.bias = -weight, -bias
        else:
            carry = max(0.0, (power - _dot(search.slopes, (weight, bias))) / (search.power or 1.0))
            search.weight, search.bias = carry * search.weight - weight, carry * search.bias - bias
        search.slopes, search.power = slopes, power


def _dot(a: tuple[Array, Array], b: tuple[Array, Array]) -> float:
    return float(np.vdot(a[0], b[0]) + np.vdot(a[1], b[1]))


def _square(values: Array) -> float:
    flat = values.ravel()
    return float(np.dot(flat, flat))
