"""The two ends of a chain solved in turn: the last layer by least squares, the first by Gauss-Newton steps."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from ...ir.graph import Array, Graph
from ..analysis.layers.linear import Linear, stored_weight
from ..analysis.layers.writing import stored_bias
from ..analysis.statistics.input_moments import spots_for
from .chain import Chain
from .derivatives import Derivatives
from .joint import Inner, JointFit, Piece, Weights
from .paired import PairedMoments

POSITIONS = 2**18  # output positions that a chain is fitted on, at most, about
ELEMENTS = 2**26  # numbers held for that, at most, about
HELD = 8  # one batch in so many is kept apart
WIDEST = 2500


def may_lead(layer: Linear) -> bool:
    """Whether a layer may be the first of a chain; it reads few enough inputs to hold their rows."""
    return layer.groups == 1 and layer.fan_in <= WIDEST


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
            inner = fit.inner(weights, like)
            solved = self._last(inner, (last[0], last[1].astype(np.float32)), ridge)
            weights = fit.improve(weights, inner, like, solved, self.steps)
        return weights

    def _last(self, inner: Inner, last: Weights, ridge: float) -> Weights:
        """Solve the last layer for what it reads when the first layer gives ``inner``; weights as stored."""
        layer, prior = self.chain.last, self.chain.last.matrix(last[0])
        moments = PairedMoments(*prior.shape)
        every = [*self.pieces[0], *self.pieces[1]]
        samples = sum(len(piece.x) for piece in every)
        for piece, values in zip(every, chain(*inner), strict=True):
            read = self.links.tail(values, last).read
            spots = spots_for(layer, read, samples, self.rng)
            moments.update(layer.rows(read, spots), layer.outputs(piece.y, spots), len(piece.x))
        matrix, bias = moments.solve(prior, ridge)
        return layer.weight(matrix, last[0]), bias.ravel().astype(np.float32)


def held_apart(
    layer: Linear, pairs: Iterable[tuple[Array, Array]], samples: int, rng: np.random.Generator
) -> tuple[list[Piece], list[Piece]]:
    """Hold as many of the samples as a fit needs; every eighth batch is kept apart, few batches are cut up for that.

    ``pairs`` are batches of what the chain reads and should give. A single sample is fitted and judged by.
    """
    pieces = list(_enough(layer, pairs, samples, rng))
    if len(pieces) < HELD:
        pieces = [part for piece in pieces for part in _parts(piece)]
    every = max(2, min(HELD, len(pieces)))
    held = pieces[every - 1 :: every]
    return [piece for piece in pieces if piece not in held] if held else pieces, held or pieces


def _enough(
    layer: Linear, pairs: Iterable[tuple[Array, Array]], samples: int, rng: np.random.Generator
) -> Iterator[Piece]:
    """Yield batches; those that are held together give as many rows as a layer's moments are taken from."""
    held = 0
    for x, y in pairs:
        wanted = min(samples, _most(layer, x, y))
        spots = spots_for(layer, x, wanted, rng)
        yield Piece(x, y.astype(np.float32), spots, layer.rows(x, spots)[0])
        held += len(x)
        if held >= wanted:
            return


def _most(layer: Linear, x: Array, y: Array) -> int:
    """Return how many samples are held at most, given a batch of them."""
    walk = layer.geometry
    positions = walk.positions(x.shape[2:]) if walk is not None else x[..., 0].size // len(x)
    return min(-(-POSITIONS // positions), -(-ELEMENTS * len(x) // (x.size + y.size)))


def _parts(piece: Piece) -> Iterator[Piece]:
    """Cut a batch up, an image at least in each part."""
    images = len(piece.x)
    rows = piece.rows.reshape(images, -1, piece.rows.shape[1])
    for part in np.array_split(np.arange(images), min(HELD, images)):
        cut = slice(part[0], part[-1] + 1)
        spots = piece.spots if piece.spots is None else piece.spots[cut]
        yield Piece(piece.x[cut], piece.y[cut], spots, rows[cut].reshape(-1, rows.shape[2]))
