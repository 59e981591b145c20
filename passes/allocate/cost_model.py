"""Cost of a network as a function of what the allocator decides (arrays only).

The cost of a layer is bilinear in the widths of the groups that make its input and its output; a layer that may take
another form keeps a share of that, one more variable. With variables ``v`` (V,), widths in rounds kept and shares,

    cost(v) = const + linear . v + v^T quadratic v + sum_s factor_s v[share_s] (left_s . v + a_s) (right_s . v + b_s).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..analysis.costs.products import Product

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Term:
    """One layer's cost: ``factor * (left_const + left . v) * (right_const + right . v)``, times ``v[share]`` if given.

    ``left`` (G,) input channels of the layer a kept round of each group, ``right`` (G,) output channels, or None for a
    layer whose cost is linear (depthwise, bias, normalisation). ``factor`` >= 0: MACs, bytes or seconds a pair.
    """

    factor: float
    left: Floats
    left_const: float = 0.0
    right: Floats | None = None
    right_const: float = 1.0
    share: int | None = None

    @staticmethod
    def of(product: Product, shares: Mapping[str, int]) -> "Term":
        """Take over a product; ``shares``: the variable of each layer that has one, by node name."""
        left, right = product.left, product.right
        share = shares.get(product.layer)
        return Term(product.factor, left.per_unit, left.fixed, right.per_unit, right.fixed, share)


@dataclass(frozen=True)
class _Shared:
    """The terms with a share: ``place`` (S,), ``left``, ``right`` and their product ``both`` (S, V), the rest (S,)."""

    place: Ints
    factor: Floats
    left: Floats
    left_const: Floats
    right: Floats
    right_const: Floats
    both: Floats

    @staticmethod
    def of(terms: Sequence[Term], variables: int) -> "_Shared":
        left, right = np.zeros((2, len(terms), variables))
        for row, term in enumerate(terms):
            left[row, : len(term.left)] = term.left
            if term.right is not None:
                right[row, : len(term.right)] = term.right
        numbers = ((term.factor, term.left_const, term.right_const) for term in terms)
        factor, left_const, right_const = np.array(list(numbers)).T
        place = np.array([term.share for term in terms], np.int64)
        return _Shared(place, factor, left, left_const, right, right_const, left * right)

    def sides(self, kept: Floats) -> tuple[Floats, Floats]:
        """Return how much each layer reads and makes, (S,) both."""
        return self.left @ kept + self.left_const, self.right @ kept + self.right_const


@dataclass(frozen=True)
class CostModel:
    """See the module; ``linear`` (V,), ``quadratic`` (V, V) symmetric, all >= 0."""

    const: float
    linear: Floats
    quadratic: Floats
    shared: _Shared | None = None

    @staticmethod
    def of(terms: Sequence[Term], variables: int, const: float = 0.0) -> "CostModel":
        """Add up the layers of a network; ``const`` is the cost of all that cannot shrink."""
        linear, quadratic = np.zeros(variables), np.zeros((variables, variables))
        for term in terms:
            if term.share is not None:
                continue
            left, right = _padded(term.left, variables), _padded(term.right, variables)
            const += term.factor * term.left_const * term.right_const
            linear += term.factor * (term.left_const * right + term.right_const * left)
            quadratic += term.factor * np.outer(left, right)
        shared = [term for term in terms if term.share is not None]
        return CostModel(
            const, linear, (quadratic + quadratic.T) / 2, _Shared.of(shared, variables) if shared else None
        )

    @property
    def variables(self) -> int:
        """How many variables there are."""
        return len(self.linear)

    def __call__(self, kept: Ints | Floats) -> float:
        """Cost of ``kept`` (V,): rounds and shares."""
        plain = self.const + self.linear @ kept + kept @ self.quadratic @ kept
        if self.shared is None:
            return float(plain)
        left, right = self.shared.sides(np.asarray(kept, np.float64))
        return float(plain + (self.shared.factor * kept[self.shared.place] * left * right).sum())

    def slopes(self, kept: Floats) -> tuple[Floats, Floats]:
        """Return ``s`` and ``q`` (V,): variable v alone at level k costs ``(s_v + q_v k) k`` and a constant."""
        bend = np.diagonal(self.quadratic).copy()
        slope = self.linear + 2 * (self.quadratic @ kept)
        if self.shared is not None:
            s = self.shared
            left, right = s.sides(kept)
            weight = s.factor * kept[s.place]
            bend += weight @ s.both
            slope += (weight * right) @ s.left + (weight * left) @ s.right
            np.add.at(slope, s.place, s.factor * left * right)
        return slope - 2 * bend * kept, bend


class Cursor:
    """Levels (V,) that are changed one at a time, and the cost along each; faster than :meth:`Cost.slopes` for one."""

    def __init__(self, cost: CostModel, kept: Floats) -> None:
        self.kept = kept.copy()
        self._twice, self._bend = 2 * cost.quadratic, np.diagonal(cost.quadratic).tolist()
        self._linear, self._shared = cost.linear.tolist(), cost.shared
        if self._shared is not None:
            s = self._shared
            self._left, self._right = s.sides(self.kept)
            self._weight = s.factor * self.kept[s.place]
            self._terms = [np.flatnonzero(row) for row in (s.left + s.right).T]
            self._owned = [np.flatnonzero(s.place == place) for place in range(len(kept))]

    def along(self, place: int) -> tuple[float, float]:
        """Return one entry of :meth:`Cost.slopes`."""
        bend, slope = self._bend[place], self._linear[place] + float(self._twice[place] @ self.kept)
        s = self._shared
        if s is not None and len(own := self._owned[place]):
            slope += float((s.factor[own] * self._left[own] * self._right[own]).sum())
        if s is not None and len(on := self._terms[place]):
            weight = self._weight[on]
            bend += float(weight @ s.both[on, place])
            slope += float(weight @ (self._right[on] * s.left[on, place] + self._left[on] * s.right[on, place]))
        return slope - 2 * bend * float(self.kept[place]), bend

    def move(self, place: int, level: float) -> None:
        """Give one variable another level."""
        step = level - self.kept[place]
        self.kept[place] = level
        s = self._shared
        if s is not None and step:
            own, on = self._owned[place], self._terms[place]
            self._weight[own] = s.factor[own] * level
            self._left[on] += s.left[on, place] * step
            self._right[on] += s.right[on, place] * step


def _padded(side: Floats | None, variables: int) -> Floats:
    found = np.zeros(variables)
    if side is not None:
        found[: len(side)] = side
    return found
