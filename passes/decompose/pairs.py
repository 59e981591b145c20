"""One layer as two successive ones through r middle channels: the form that stretch and low rank share."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...ir.geometry import Geometry
from ...ir.graph import Array, Graph, Node
from ..analysis.layers.linear import Linear, stored_weight
from .depthwise import rank_one
from .low_rank_math import rank_grid, regression
from .stretch_math import Factors, Stretched
from .tap_split import TapSplit

_NOTHING = 1e-30


@dataclass(frozen=True)
class Pair:
    """``rank`` middle channels a group. ``transposed``: a product's weight is stored as (m, d)."""

    split: TapSplit
    rank: int
    transposed: bool = False

    @property
    def text(self) -> str:
        """Say it in a few words."""
        return f"{self.kind}, rank {self.rank}"

    @property
    def kind(self) -> str:
        """Name the kernels alone."""
        first, second = ("x".join(map(str, kernel)) for kernel in self.split.kernels())
        return f"{first} then {second}" if first else "two products"

    def macs(self, layer: Linear, sizes: Sequence[int]) -> int:
        """Count multiply-accumulates for one sample. For a product ``sizes`` are of the axes before the features."""
        walk = layer.geometry
        first, second = self._shares(layer)
        if walk is None:
            return prod(sizes) * (first + second)
        return self.split.walks(walk)[0].positions(sizes) * first + walk.positions(sizes) * second

    def parameters(self, layer: Linear) -> int:
        """Count weights."""
        return sum(self._shares(layer))

    def _shares(self, layer: Linear) -> tuple[int, int]:
        first, second = self.split.taps()
        through = layer.groups * self.rank
        return through * (layer.fan_in // second), through * layer.fan_out * second

    def fit(self, cov: Array, cross: Array) -> "FittedPair":
        """Minimise ``E |x W - y|^2`` over W of this form; see :func:`fit_pairs`."""
        return fit_pairs([self], cov, cross)[0]


@dataclass(frozen=True, eq=False)
class FittedPair:
    """``first`` (g, c * first taps, r) and ``second`` (g, r, second taps, m)."""

    form: Pair
    first: Array
    second: Array

    @property
    def matrix(self) -> Array:
        """The layer that the pair stands for, (g, d, m)."""
        return self.form.split.matrix(self.first, self.second)

    def refit(self, cov: Array, cross: Array) -> "FittedPair":
        """Fit again, at the same rank and order."""
        return self.form.fit(cov, cross)

    def weights(self) -> tuple[Array, Array]:
        """Return both stored weights, in float64."""
        if not self.form.split.kernel:
            second = self.second[0, :, 0]
            return self.first[0], second.T if self.form.transposed else second
        early, late = self.form.split.kernels()
        inputs = self.first.shape[1] // prod(early)
        first = self.first.swapaxes(1, 2).reshape(-1, inputs, *early)
        return first, self.second.transpose(0, 3, 1, 2).reshape(-1, self.form.rank, *late)

    def write(self, graph: Graph, node: Node, layer: Linear) -> tuple[str, str]:
        """Insert the first layer before a node that becomes the second: see :class:`Fitted`.

        Both weights are stored as floats, also where the layer's was quantised.
        """
        dtype = stored_weight(graph, node, layer).dtype
        first, second = (array.astype(dtype) for array in self.weights())
        middle = graph.variable(f"{layer.output}_middle", node.outputs[0].dtype)
        name = node.inputs[1].name
        ends = [node.inputs[0], graph.constant(f"{name}_first", first)], [middle]
        node.set_input(0, middle)
        node.set_input(1, graph.constant(f"{name}_second", second))
        if layer.geometry is None:
            return graph.insert("MatMul", *ends, before=node).name, node.name
        early, late = (_attributes(walk, layer.groups) for walk in self.form.split.walks(layer.geometry))
        for key in ("auto_pad", "pads"):
            node.set_attribute(key, None)
        for key, value in late.items():
            node.set_attribute(key, value)
        return graph.insert("Conv", *ends, early, before=node).name, node.name


def _attributes(walk: Geometry, groups: int) -> dict[str, Any]:
    padding = {"auto_pad": walk.auto_pad} if walk.auto_pad else {"pads": [*walk.begin, *walk.end]}
    walked = {"kernel_shape": [*walk.kernel], "strides": [*walk.strides], "dilations": [*walk.dilations]}
    return {**walked, **padding, "group": groups}


def fit_pairs(pairs: Sequence[Pair], cov: Array, cross: Array) -> tuple[FittedPair, ...]:
    """Fit several forms of one layer, what they have in common done once: one regression, one start a tap split.

    ``cov`` (g, d, d) and ``cross`` (g, d, m) as for :meth:`Form.fit`; every rank is at most :func:`full_rank`. Each
    group is fitted on its own by :class:`Stretched`, which is reduced-rank regression where the first factor has all
    taps; depthwise layers, all channels at once, by :func:`rank_one`. Raises NumericalError on NaN or Inf.
    """
    if _are_depthwise(pairs, cov):
        return tuple(_depthwise(pair, cov, cross) for pair in pairs)
    dense = _dense(cov, cross)
    fitted: dict[Pair, FittedPair] = {}
    for split in dict.fromkeys(pair.split for pair in pairs):
        known = _laid_out(split, cov, cross, dense)
        alike = [pair for pair in pairs if pair.split == split]
        fitted |= {pair: _stacked(pair, [group.fit(pair.rank) for group in known]) for pair in alike}
    return tuple(fitted[pair] for pair in pairs)


def estimated_losses(pairs: Sequence[Pair], cov: Array, cross: Array) -> Array:
    """Return about what pairs of one layer lose once fitted, (F,), relative to the output's energy.

    What lies beyond the rank in the spectrum, times what the start of a pair of middle rank really loses of that.
    Raises NumericalError on NaN or Inf.
    """
    dense = _dense(cov, cross)
    energy = max(float(np.vdot(dense, cross)), _NOTHING)
    if _are_depthwise(pairs, cov):
        return 1 - np.array([float(np.vdot(fitted.matrix, cross)) for fitted in fit_pairs(pairs, cov, cross)]) / energy
    found = dict[Pair, float]()
    for split in dict.fromkeys(pair.split for pair in pairs):
        known = _laid_out(split, cov, cross, dense)
        alike = sorted((pair for pair in pairs if pair.split == split), key=lambda pair: pair.rank)
        tails = {pair: sum(float(group.spectrum.energies[pair.rank :].sum()) for group in known) for pair in alike}
        middle = alike[len(alike) // 2]
        real = sum(group.start(middle.rank).loss for group in known)
        found |= {pair: tails[pair] * real / max(tails[middle], _NOTHING) for pair in alike}
    return np.array([found[pair] for pair in pairs]) / energy


def _are_depthwise(pairs: Sequence[Pair], cov: Array) -> bool:
    return len(cov) > 1 and all(prod(pair.split.kernel) == cov.shape[1] for pair in pairs)


def _dense(cov: Array, cross: Array) -> Array:
    """Return the best layer without a form, (g, d, m)."""
    return np.stack([regression(*group) for group in zip(cov, cross, strict=True)])


def _laid_out(split: TapSplit, cov: Array, cross: Array, dense: Array) -> list[Stretched]:
    laid = split.square(cov), split.rows(cross), split.rows(dense)
    return [Stretched(*group) for group in zip(*laid, strict=True)]


def _stacked(pair: Pair, groups: Sequence[Factors]) -> FittedPair:
    return FittedPair(pair, np.stack([g.first for g in groups]), np.stack([g.second for g in groups]))


def _depthwise(pair: Pair, cov: Array, cross: Array) -> FittedPair:
    first, second = rank_one(pair.split.square(cov).swapaxes(3, 4), pair.split.rows(cross)[..., 0])
    return FittedPair(pair, first[:, :, None], second[:, None, :, None])


def full_rank(layer: Linear, split: TapSplit) -> int:
    """Return the rank at which a pair can stand for any weight of the layer."""
    first, second = split.taps()
    return min(layer.fan_in // second, layer.fan_out * second)


def saving_pairs(layer: Linear, splits: Sequence[TapSplit]) -> list[Pair]:
    """List pairs with fewer weights and MACs than the layer, on a grid of ranks, from few to many weights.

    MACs are counted as for large images: the first factor runs at every position that a late stride skips.
    """
    found = []
    for split in splits:
        strides = layer.geometry.strides if layer.geometry is not None else ()
        skipped = prod(strides[axis] for axis in split.late)
        one = Pair(split, 1, layer.transposed)._shares(layer)
        limit = (layer.groups * layer.fan_in * layer.fan_out - 1) // (one[0] * skipped + one[1])
        ranks = rank_grid(min(limit, full_rank(layer, split)))
        found += [Pair(split, rank, layer.transposed) for rank in ranks]
    return sorted(found, key=lambda pair: pair.parameters(layer))
