"""Decompose and stretch: each k x k filter as two small spatial filters, in two successive convolutions.

Reference: Chen, Lin, Liu, Xia, Li, "Decouple and stretch: a boost to channel pruning", IPCCC 2018. Its text was not
found in full; how the pair is fitted is told in ``stretch_math``. Ranks, groups and the choice of the order are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from ...ir.graph import Array
from ..analysis.layers.linear import Linear
from .pairs import Pair, estimated_losses, saving_pairs
from .tap_split import TapSplit


@dataclass(frozen=True)
class Stretch:
    """k x 1 then 1 x k and the other order, for kernels with several taps along more than one axis.

    In a depthwise layer each channel has a pair of its own, of rank one; in a grouped one each group.
    """

    @property
    def name(self) -> str:
        """How the family is called."""
        return "stretch"

    def forms(self, layer: Linear) -> Sequence[Pair]:
        """List both orders at a grid of ranks, from few to many weights."""
        inputs = layer.fan_in // layer.taps
        if layer.geometry is None or (layer.groups > 1 and inputs == 1 and layer.fan_out > 1):
            return []
        pairs = saving_pairs(layer, spatial_splits(layer.geometry.kernel))
        return pairs if layer.groups == 1 or inputs > 1 else _cheapest(pairs, layer)

    def estimates(self, layer: Linear, cov: Array, cross: Array) -> Array:
        """Return about what each form loses; see :func:`estimated_losses`."""
        return estimated_losses(self.forms(layer), cov, cross)


def spatial_splits(kernel: tuple[int, ...]) -> list[TapSplit]:
    """List the ways to give some axes of a kernel to the first factor, those with a single tap among them."""
    wide = [axis for axis, taps in enumerate(kernel) if taps > 1]
    narrow = {*range(len(kernel))} - {*wide}
    chosen = [set(axes) for count in range(1, len(wide)) for axes in combinations(wide, count)]
    return [TapSplit(kernel, tuple(sorted(axes | narrow))) for axes in chosen]


def _cheapest(pairs: Sequence[Pair], layer: Linear) -> Sequence[Pair]:
    """Keep the order that strides first: with rank one both fit alike."""
    assert layer.geometry is not None
    sizes = [64 * (taps + step) for taps, step in zip(layer.geometry.kernel, layer.geometry.strides, strict=True)]
    return sorted(pairs, key=lambda pair: pair.macs(layer, sizes))[:1]
