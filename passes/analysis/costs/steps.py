"""A cost that is the largest of many steps', each a sum of products over group widths."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ....ir.graph import Array
from .products import Product

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """Product p counts in the steps from ``first[p]`` to ``last[p]``, of ``count`` steps in all."""

    products: tuple[Product, ...]
    first: Ints
    last: Ints
    count: int

    @property
    def variables(self) -> int:
        """How many groups there are."""
        return len(self.products[0].left.per_unit) if self.products else 0

    def at(self, kept: Array) -> Array:
        """Return each step's cost, (S,), when every group keeps ``kept`` units. Time is linear in all products."""
        factor, left, left_const, right, right_const = self._stacked
        return spread(
            factor * (left @ kept + left_const) * (right @ kept + right_const), self.first, self.last, self.count
        )

    def weighed(self, weights: Array) -> list[Product]:
        """Write the sum of all steps' costs by ``weights`` (S,): no more than the largest where these add to 1."""
        below = np.append(0.0, np.cumsum(weights))
        shares = below[self.last + 1] - below[self.first]
        return [
            replace(product, factor=product.factor * share)
            for product, share in zip(self.products, shares.tolist(), strict=True)
            if share > 0
        ]

    def beside(self, products: Sequence[Product]) -> "Steps":
        """Return the same with products that count in every step."""
        first, last = np.zeros(len(products), np.int64), np.full(len(products), self.count - 1)
        return Steps((*self.products, *products), np.append(self.first, first), np.append(self.last, last), self.count)

    @cached_property
    def _stacked(self) -> tuple[Array, Array, Array, Array, Array]:
        left, right = ([getattr(product, side) for product in self.products] for side in ("left", "right"))
        matrices = [np.array([count.per_unit for count in side]) for side in (left, right)]
        fixed = [np.array([count.fixed for count in side]) for side in (left, right)]
        return np.array([p.factor for p in self.products]), matrices[0], fixed[0], matrices[1], fixed[1]


def spread(values: Array, first: Ints, last: Ints, count: int) -> Array:
    """Add up what is there in each of ``count`` steps, (count,): value p from step ``first[p]`` to ``last[p]``."""
    begun = np.bincount(first, values, minlength=count + 1)
    ended = np.bincount(last + 1, values, minlength=count + 1)
    return np.asarray(np.cumsum(begun - ended)[:count])
