"""What one step of a recurrent cell computes, as sums of products of atoms: however it is written, it reads alike.

An atom is what the step is given, a product of such with a stored matrix, or a function of a sum. So
``z h + (1 - z) n`` and ``n + z (h - n)`` are both ``{z h: 1, n: 1, z n: -1}``, and a gate that is cut out of several
computed at once is the gate alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from ....ir.graph import Array, Tensor

_MOST_TERMS = 16
_DEEPEST = 8  # functions of functions
_NUMBERS = count()  # of atoms as they are made: an order that is the same in every run


class Unlike(Exception):
    """No cell computes this."""


@dataclass(frozen=True, eq=False)
class Atom:
    """Numbers of one step, (samples, width); ``depth`` counts functions that stand in each other."""

    width: int
    depth: int = field(default=0, kw_only=True)
    number: int = field(default_factory=_NUMBERS.__next__, init=False)
    _parts: dict[tuple[int, int], Atom] = field(default_factory=dict, init=False, repr=False)

    def part(self, start: int, stop: int) -> Atom:
        """Return some of the numbers of each sample: the same atom for the same part."""
        if (start, stop) == (0, self.width):
            return self
        if (start, stop) not in self._parts:
            self._parts[start, stop] = self._cut(start, stop)
        return self._parts[start, stop]

    def _cut(self, start: int, stop: int) -> Atom:
        raise Unlike


@dataclass(frozen=True, eq=False)
class Given(Atom):
    """What a step starts from: an element of a sequence, or a state."""

    tensor: Tensor


@dataclass(frozen=True, eq=False)
class Product(Atom):
    """A product of atoms, entry by entry, times a matrix of their width by this one's."""

    source: Monomial
    matrix: Array

    def _cut(self, start: int, stop: int) -> Atom:
        return Product(stop - start, self.source, self.matrix[:, start:stop])


@dataclass(frozen=True, eq=False)
class Applied(Atom):
    """A function of every number of a sum."""

    op: str
    of: Sum

    def _cut(self, start: int, stop: int) -> Atom:
        return Applied(stop - start, self.op, self.of.part(start, stop), depth=self.depth)


Monomial = tuple[Atom, ...]


def monomial(*atoms: Atom) -> Monomial:
    """Return the product of atoms, alike in any order; without any it is 1."""
    return tuple(sorted(atoms, key=lambda atom: atom.number))


@dataclass(frozen=True)
class Sum:
    """Products of atoms, each with a coefficient for every number, (width,) in float64."""

    terms: Mapping[Monomial, Array]
    width: int

    @staticmethod
    def of(atom: Atom) -> Sum:
        """Return an atom alone."""
        return Sum({(atom,): np.ones(atom.width)}, atom.width)

    @staticmethod
    def constant(values: Array) -> Sum:
        """Return stored numbers that are the same for every sample; Unlike for others."""
        if values.size != (values.shape[-1] if values.ndim else 1) or values.ndim > 2 or values.dtype.kind != "f":
            raise Unlike
        return Sum({(): values.astype(np.float64).ravel()}, values.size)

    def part(self, start: int, stop: int) -> Sum:
        """Return some of the numbers of each sample."""
        terms = {
            monomial(*(atom.part(start, stop) for atom in key)): factor[start:stop]
            for key, factor in self.terms.items()
        }
        return Sum(terms, stop - start)

    def plus(self, other: Sum, sign: int = 1) -> Sum:
        """Add or subtract."""
        width = self._common(other)
        terms = {key: np.broadcast_to(factor, (width,)) for key, factor in self.terms.items()}
        for key, factor in other.terms.items():
            terms[key] = terms.get(key, np.zeros(width)) + sign * factor
        return _tidy(terms, width)

    def times(self, other: Sum) -> Sum:
        """Multiply entry by entry."""
        width = self._common(other)
        terms: dict[Monomial, Array] = {}
        for left, factor in self.terms.items():
            for right, by in other.terms.items():
                key = monomial(*left, *right)
                terms[key] = terms.get(key, np.zeros(width)) + factor * by
        return _tidy(terms, width)

    def through(self, matrix: Array) -> Sum:
        """Multiply by a stored matrix (width, new width)."""
        if matrix.ndim != 2 or matrix.shape[0] != self.width or matrix.dtype.kind != "f":
            raise Unlike
        total = Sum({}, matrix.shape[1])
        for key, factor in self.terms.items():
            scaled = matrix if np.all(factor == 1) else factor[:, None] * matrix
            added = Sum.of(Product(matrix.shape[1], key, scaled)) if key else Sum({(): factor @ matrix}, total.width)
            total = total.plus(added)
        return total

    def applied(self, op: str) -> Sum:
        """Apply a function to every number; Unlike for functions of functions beyond any cell's."""
        depth = 1 + max((atom.depth for key in self.terms for atom in key), default=0)
        if depth > _DEEPEST:
            raise Unlike
        return Sum.of(Applied(self.width, op, self, depth=depth))

    def equals(self, other: Mapping[Monomial, Array | int]) -> bool:
        """Whether it has these terms and no others."""
        return self.terms.keys() == other.keys() and all(np.all(self.terms[key] == other[key]) for key in other)

    def _common(self, other: Sum) -> int:
        """Return the width of both; a single stored number is as wide as needed."""
        numbers = [one for one in (self, other) if one.width == 1 and one.terms.keys() <= {()}]
        if self.width != other.width and not numbers:
            raise Unlike
        return max(self.width, other.width)


def _tidy(terms: Mapping[Monomial, Array], width: int) -> Sum:
    left = {key: factor for key, factor in terms.items() if factor.any()}
    if len(left) > _MOST_TERMS:
        raise Unlike
    return Sum(left, width)
