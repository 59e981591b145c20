"""The two ends of a chain solved in turn: the last layer by least squares, the first by Gauss-Newton steps."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array, Graph
from ..analysis.linear import Linear, stored_weight
from ..analysis.statistics import spots_for
from ..analysis.writing import stored_bias
from .chain import Chain
from .derivatives import Derivatives
from .joint import JointFit, Piece, Weights
from .paired import PairedMoments

POSITIONS = 2**18  # output positions that a chain is fitted on, at most, about
ELEMENTS = 2**26  # numbers held for that, at most, about
HELD = 8  # one batch in so many is kept apart
WIDEST = 2500


def fits_in_memory(chain: Chain) -> bool:
    """Whether both layers read few enough inputs to factor their covariances beside everything else."""
    return max(chain.first.fan_in, chain.last.fan_in) <= WIDEST


@dataclass(frozen=True)
class Alternation:
    """``rounds`` times: solve the last layer, then take ``steps`` steps with the first.

    ``pieces`` are the samples to fit and those kept apart; weights start from those stored in ``graph``.
    """

    graph: Graph
    chain: Chain
    links: Derivatives
    pieces: tuple[list[Piece], list[Piece]]
    rounds: int
    steps: int
    rng: np.random.Generator

    def first(self, inputs: PairedMoments, ridge: float) -> Weights:
        """Return the first layer's weight (1, d, m) and bias (m,); ``inputs`` has solved that layer alone."""
        node, end = (self.graph.node(layer.node) for layer in (self.chain.first, self.chain.last))
        like = stored_weight(self.graph, node, self.chain.first)
        weights = self.chain.first.matrix(like), stored_bias(self.graph, node, self.chain.first)
        last = stored_weight(self.graph, end, self.chain.last), stored_bias(self.graph, end, self.chain.last)
        fit = JointFit(self.links, self.chain.first, inputs.whole(), inputs.ridge, *self.pieces, self.rng)
        for _ in range(self.rounds):
            solved = self._last(fit.stored(weights, like), (last[0], last[1].astype(np.float32)), ridge)
            weights = fit.improve(weights, like, solved, self.steps)
        return weights

    def _last(self, first: Weights, last: Weights, ridge: float) -> Weights:
        """Solve the last layer for what it reads when the first layer is ``first``; weights as stored."""
        layer, prior = self.chain.last, self.chain.last.matrix(last[0])
        moments = PairedMoments(*prior.shape)
        every = [*self.pieces[0], *self.pieces[1]]
        samples = sum(len(piece.x) for piece in every)
        for piece in every:
            read = self.links.forward(piece.x, first, last).read
            spots = spots_for(layer, read, samples, self.rng)
            moments.update(layer.rows(read, spots), layer.outputs(piece.y, spots), len(piece.x))
        matrix, bias = moments.solve(prior, ridge)
        return layer.weight(matrix, last[0]), bias.ravel().astype(np.float32)


def held_apart(
    layer: Linear, pairs: Iterator[tuple[Array, Array]], rng: np.random.Generator
) -> tuple[list[Piece], list[Piece]]:
    """Hold as many samples as a fit needs; every eighth batch is kept apart, and few batches are cut up for that.

    ``pairs`` are batches of what the chain reads and should give. A single sample is fitted and judged by.
    """
    taken = _enough(layer, pairs)
    if len(taken) < HELD:
        taken = [cut for x, y in taken for cut in zip(_cut(x), _cut(y), strict=True)]
    samples = sum(len(x) for x, _ in taken)
    pieces = []
    for x, y in taken:
        spots = spots_for(layer, x, samples, rng)
        pieces.append(Piece(x, y.astype(np.float32), spots, layer.rows(x, spots)[0]))
    every = max(2, min(HELD, len(pieces)))
    held = pieces[every - 1 :: every]
    return [piece for piece in pieces if piece not in held] if held else pieces, held or pieces


def _enough(layer: Linear, pairs: Iterator[tuple[Array, Array]]) -> list[tuple[Array, Array]]:
    taken: list[tuple[Array, Array]] = []
    positions = elements = 0
    for x, y in pairs:
        walk = layer.geometry
        positions += len(x) * walk.positions(x.shape[2:]) if walk is not None else x[..., 0].size
        elements += x.size + y.size
        taken.append((x, y))
        if positions >= POSITIONS or elements >= ELEMENTS:
            break
    return taken


def _cut(values: Array) -> list[Array]:
    return [part for part in np.array_split(values, HELD) if len(part)]
