"""Forms: other ways to carry out a linear layer, with fewer MACs, and what a stage needs to know of them.

A *family* (spatial split, channel low rank, strided taps, kernel blocks) lists the forms that a layer of given widths
can take. A form is *fitted* to what the layer reads and should give, and then written into the graph in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ...ir.graph import Array, Graph, Node
from .linear import Linear


class Fitted(Protocol):
    """A form with numbers in it. ``matrix`` (g, d, m): the layer that it stands for, as ``Linear`` lays it out."""

    @property
    def matrix(self) -> Array: ...

    def refit(self, cov: Array, cross: Array) -> "Fitted":
        """Fit again, as :meth:`Form.fit`, in the structure found before: the same nodes, supports and permutations."""

    def write(self, graph: Graph, node: Node, layer: Linear) -> tuple[str, ...]:
        """Put the form in the place of a layer's node, which stays as the one that holds the bias.

        The output tensor keeps its name. Returns the nodes that hold weights, in the order of :meth:`weights`.
        """

    def weights(self) -> tuple[Array, ...]:
        """Return what the written nodes' second inputs hold, in float64."""


@runtime_checkable
class Permuted(Protocol):
    """A fitted form whose node gives the outputs in an order of its own, undone after it."""

    @property
    def order(self) -> Array | None:
        """Which output of the layer each output of its node is, (m,); None where they are the same."""


class Form(Protocol):
    """One form of one layer, without numbers."""

    @property
    def text(self) -> str:
        """Say it in a few words, for reports."""

    def macs(self, layer: Linear, sizes: Sequence[int]) -> int:
        """Count multiply-accumulates for one sample; ``sizes``: spatial sizes of the input, () for a product."""

    def parameters(self, layer: Linear) -> int:
        """Count weights."""

    def fit(self, cov: Array, cross: Array) -> Fitted:
        """Minimise ``E |x W - y|^2`` over what the form can express.

        ``cov`` (g, d, d): covariance of what the layer reads; ``cross`` (g, d, m): its covariance with what the layer
        should give, ``cov @ W`` for a layer that stays as it is. Without data ``cov`` is the identity.
        """


class Family(Protocol):
    """A kind of form."""

    @property
    def name(self) -> str: ...

    def forms(self, layer: Linear) -> Sequence[Form]:
        """List the forms of a layer from few to many parameters; none where the family does not apply."""


@dataclass(frozen=True)
class Written:
    """A form in the graph: ``layer`` is what it stands for, ``nodes`` hold ``fitted``'s weights, in order."""

    layer: Linear
    fitted: Fitted
    nodes: tuple[str, ...]

    def bias(self, values: Array) -> Array:
        """Bring a bias (m,) from the order of the layer's outputs into that of the node which holds it."""
        order = self.fitted.order if isinstance(self.fitted, Permuted) else None
        return values if order is None else values[order]
