"""Forms: other ways to carry out a linear layer, with fewer MACs, and what a stage needs to know of them.

A *family* (spatial split, channel low rank, strided taps, kernel blocks) lists the forms that a layer of given widths
can take. A form is *fitted* to what the layer reads and should give, and then written into the graph in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from ....ir.graph import Array, Graph, Node
from .linear import Linear

if TYPE_CHECKING:
    from ..costs.meters import Meter


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


@runtime_checkable
class Indexed(Protocol):
    """A form that stores integers beside its weights: channels to read, places to put them."""

    def indices(self, layer: Linear) -> int:
        """Count them, at most; each takes eight bytes."""


class Form(Protocol):
    """One form of one layer, without numbers."""

    @property
    def text(self) -> str:
        """Say it in a few words, for reports."""

    @property
    def kind(self) -> str:
        """Say it without its size: forms of one kind differ in how much they keep."""

    def macs(self, layer: Linear, sizes: Sequence[int]) -> int:
        """Count multiply-accumulates for one sample; ``sizes``: spatial sizes of the input, () for a product."""

    def parameters(self, layer: Linear) -> int:
        """Count weights."""

    def fit(self, cov: Array, cross: Array) -> Fitted:
        """Minimise ``E |x W - y|^2`` over what the form can express.

        ``cov`` (g, d, d): covariance of what the layer reads; ``cross`` (g, d, m): its covariance with what the layer
        should give, ``cov @ W`` for a layer that stays as it is. Without data ``cov`` is the identity.
        """


def fitted(form: Form, weight: Array, cov: Array, mean: Array) -> tuple[Fitted, Array]:
    """Fit a form to a layer as it is: ``weight`` (g, d, m), whose inputs have ``cov`` (g, d, d) and ``mean`` (g, d).

    Returns it and what to add to the bias (g · m,), so that the outputs keep their mean.
    """
    found = form.fit(cov, cov @ weight)
    return found, np.einsum("gdm,gd->gm", weight - found.matrix, mean).ravel()


@runtime_checkable
class Family(Protocol):
    """A kind of form."""

    @property
    def name(self) -> str: ...

    def forms(self, layer: Linear) -> Sequence[Form]:
        """List the forms of a layer from few to many parameters; none where the family does not apply."""

    def estimates(self, layer: Linear, cov: Array, cross: Array) -> Array:
        """Return about what each of :meth:`forms` loses once fitted: ``E |x W - y|^2`` over the variance of ``y``."""


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


@dataclass(frozen=True)
class Offer:
    """What one layer may become: the forms of ``families``, and about what each loses, relative, in ``errors`` (F,).

    ``sizes``: spatial sizes of its input, () for a product; ``itemsize``: bytes of one weight.
    """

    layer: Linear
    sizes: tuple[int, ...]
    families: tuple[Family, ...]
    errors: Array
    itemsize: int = 4

    def forms(self, layer: Linear) -> list[Form]:
        """List all forms of this layer, or of what a removal has left of it."""
        return [form for family in self.families for form in family.forms(layer)]

    def estimate(self, form: Form) -> tuple[str, float]:
        """Return the family of one of the forms, and about what it loses, relative."""
        forms = [(family.name, each) for family in self.families for each in family.forms(self.layer)]
        return next((name, float(at)) for (name, each), at in zip(forms, self.errors, strict=True) if each == form)

    def apart(self) -> "list[Offer]":
        """Return an offer for every family alone, in order."""
        ends = np.cumsum([len(family.forms(self.layer)) for family in self.families])
        parts = zip(self.families, np.split(self.errors, ends[:-1]), strict=True)
        return [replace(self, families=(family,), errors=errors) for family, errors in parts]

    def menu(self, meter: "Meter", losses: Array) -> "FormMenu":
        """Keep the forms that save something and lose less than all cheaper ones.

        ``meter``: how cost counts; ``losses`` (F,) of all forms, in any unit.
        """
        forms = self.forms(self.layer)
        shares = self._shares(forms, self.layer, self.sizes, meter)
        best, chosen = np.inf, []
        for place in np.lexsort((losses, shares)).tolist():
            if losses[place] < best and shares[place] < 1:
                best = losses[place]
                chosen.append(place)
        kept = tuple(forms[place] for place in chosen)
        return FormMenu(np.append(shares[chosen], 1.0), np.append(losses[chosen], 0.0), kept)

    def alike(
        self, form: Form, layer: Linear, sizes: tuple[int, ...], meter: "Meter"
    ) -> tuple[tuple[Form, ...], Array]:
        """Return for another version of the layer the forms of the same kind that save something, by ascending cost,
        and the shares (K,) of its cost that they keep.
        """
        forms = [each for each in self.forms(layer) if each.kind == form.kind]
        shares = self._shares(forms, layer, sizes, meter)
        order = [place for place in np.argsort(shares, kind="stable").tolist() if shares[place] < 1]
        return tuple(forms[place] for place in order), shares[order]

    def _shares(self, forms: Sequence[Form], layer: Linear, sizes: tuple[int, ...], meter: "Meter") -> Array:
        """Return the cost of each form over that of the layer itself."""
        whole = meter.whole(layer, sizes, self.itemsize)
        return np.array([meter.form(form, layer, sizes, self.itemsize) / whole for form in forms], np.float64)


@dataclass(frozen=True)
class FormMenu:
    """``shares`` (K,) of the layer's cost, ascending to 1, ``errors`` (K,) falling to 0, and ``forms`` (K - 1,)."""

    shares: Array
    errors: Array
    forms: tuple[Form, ...]

    def at(self, share: float) -> Form | None:
        """Return the form that keeps this share; None for the layer as it is."""
        place = self._place(share)
        return self.forms[place] if place < len(self.forms) else None

    def error_at(self, share: float) -> float:
        """Return the error of the form that keeps this share."""
        return float(self.errors[self._place(share)])

    def _place(self, share: float) -> int:
        return int(np.abs(self.shares - share).argmin())


def regularised(cov: Array, ridge: Array) -> Array:
    """Add ``ridge`` (g,) times the mean variance on the diagonal of ``cov`` (g, d, d); a copy."""
    level = np.einsum("gdd->g", cov) / cov.shape[1]
    return np.asarray(cov + (ridge * level)[:, None, None] * np.eye(cov.shape[1]))
