"""Channel low rank: a layer through r channels, k x k then 1 x 1 or 1 x 1 then k x k, and a product as two.

Reference: Zhang, Zou, He, Sun, "Accelerating very deep convolutional networks for classification and detection", TPAMI
2016, for the first order and its asymmetric fit; the second order and its fit are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ...ir.graph import Array
from ..analysis.layers.linear import Linear
from .pairs import Pair, estimated_losses, saving_pairs
from .tap_split import TapSplit


@dataclass(frozen=True)
class LowRank:
    """Few channels at the output's side, or at the input's where the kernel has several taps.

    In a grouped layer each group has its own; depthwise layers and stored weights on the left have none.
    """

    @property
    def name(self) -> str:
        """How the family is called."""
        return "low-rank"

    def forms(self, layer: Linear) -> Sequence[Pair]:
        """List both orders at a grid of ranks, from few to many weights."""
        if layer.columns or (layer.groups > 1 and layer.fan_in == layer.taps):
            return []
        kernel = layer.geometry.kernel if layer.geometry is not None else ()
        splits = [TapSplit(kernel, tuple(range(len(kernel)))), TapSplit(kernel, ())]
        return saving_pairs(layer, splits if layer.taps > 1 else splits[:1])

    def estimates(self, layer: Linear, cov: Array, cross: Array) -> Array:
        """Return about what each form loses; see :func:`estimated_losses`."""
        return estimated_losses(self.forms(layer), cov, cross)
