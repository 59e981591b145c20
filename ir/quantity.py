"""What a target limits and a device returns: a quantity has a name, a unit, and ways to write amounts of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .graph import Graph
    from .timing import Device

COUNTS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
BYTES = {"": 1.0, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


@dataclass(frozen=True)
class Quantity:
    """Values are numbers in ``unit``, the same wherever they come from; two quantities are equal when names are.

    ``suffixes``: what may follow an amount in a target, and how many units each stands for; ``shown`` is the one that
    people read, if not the unit. ``examples`` are amounts for hints.
    """

    name: str
    unit: str = field(compare=False)
    suffixes: Mapping[str, float] = field(compare=False, repr=False)
    shown: str = field(default="", compare=False, repr=False)
    examples: tuple[str, ...] = field(default=("0.5x",), compare=False, repr=False)

    def factor(self, suffix: str) -> float | None:
        """Return how many units a suffix stands for, in any case where that is clear; None for an unknown one."""
        if suffix in self.suffixes:
            return self.suffixes[suffix]
        alike = {factor for known, factor in self.suffixes.items() if known.casefold() == suffix.casefold()}
        return alike.pop() if len(alike) == 1 else None

    def written(self, value: float) -> str:
        """Write a value as :meth:`factor` reads it."""
        plain = min(self.suffixes, key=lambda suffix: (self.suffixes[suffix] != 1, suffix))
        suffix = self.shown or plain
        return f"{value / self.suffixes[suffix]:.15g}{suffix}"

    def said(self, value: float) -> str:
        """Write a value for people."""
        if self.shown:
            return f"{value / self.suffixes[self.shown]:.3g} {self.shown}"
        return f"{value:,.0f} {self.unit}"


@dataclass(frozen=True)
class Measured(Quantity):
    """What a device tells. ``maker`` says where the device is made, as an entry point is written: ``module:function``
    of the original graph and the quantity. So rooms that import no backend can still name what one measures.
    """

    maker: str = field(default="", compare=False, repr=False)

    def device(self, original: Graph) -> Device | None:
        """Return what measures graphs that are made from ``original``; None where the user says what does."""
        if not self.maker:
            return None
        found: Device = EntryPoint(self.name, self.maker, "").load()(original, self)
        return found


LATENCY = Measured("latency", "seconds", SECONDS, shown="ms", examples=("0.6x", "3ms"))
"""Seconds of one run, of as many samples as the device runs at once."""


def scaled(number: float) -> str:
    """Write a count with three digits or more and a prefix, to which a unit can be appended: ``125.5 M``."""
    for limit, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.4g} {prefix}"
    return f"{number:g} "
