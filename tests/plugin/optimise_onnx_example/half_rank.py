"""A family of forms: of our low-rank forms, the one in the middle."""

from collections.abc import Sequence

from optimise_onnx.ir.graph import Array
from optimise_onnx.passes.analysis.layers.forms import Form
from optimise_onnx.passes.analysis.layers.linear import Linear
from optimise_onnx.passes.decompose.low_rank import LowRank


class HalfRank:
    """One form a layer, so that there is little to choose from and little to measure."""

    name = "half-rank"

    def forms(self, layer: Linear) -> Sequence[Form]:
        """List the form, or nothing where low rank does not apply."""
        return LowRank().forms(layer)[self._middle(layer)]

    def estimates(self, layer: Linear, cov: Array, cross: Array) -> Array:
        """Return about what it loses."""
        return LowRank().estimates(layer, cov, cross)[self._middle(layer)]

    def _middle(self, layer: Linear) -> slice:
        count = len(LowRank().forms(layer))
        return slice(count // 2, count // 2 + 1)


HALF_RANK = HalfRank()
