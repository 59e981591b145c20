"""What a model wants of data: its inputs, and the arrays that stay with the samples."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np

from ...ir.errors import CalibrationError
from ...ir.graph import Dim, Graph


class Input(NamedTuple):
    """What the model says of an input; ``shape`` is None where it does not say how many axes there are."""

    name: str
    shape: tuple[Dim, ...] | None
    dtype: np.dtype[Any]

    @property
    def rank(self) -> int | None:
        """How many axes it has, that of the samples with them."""
        return None if self.shape is None else len(self.shape)

    @property
    def open(self) -> tuple[int, ...]:
        """The axes but the first whose size the model leaves open."""
        dims = self.shape or ()
        return tuple(axis for axis, dim in enumerate(dims) if axis and not (isinstance(dim, int) and dim > 0))

    def takes(self, shape: tuple[int, ...], axis: int | None = 0) -> bool:
        """Whether an array suits what the model fixes, but for the ``axis`` of samples."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            place == axis or not isinstance(dim, int) or dim in (0, shape[place])
            for place, dim in enumerate(self.shape)
        )

    def fixes(self, shape: tuple[int, ...]) -> bool:
        """Whether the model fixes the first axis, and to what an array has."""
        first = self.shape[0] if self.shape else 0
        return isinstance(first, int) and first > 0 and self.takes(shape, None)

    def written(self, axis: int | None = 0) -> str:
        """Write what the model takes for a person."""
        dims = ["samples" if place == axis else str(dim or "any") for place, dim in enumerate(self.shape or ())]
        return f"[{', '.join(dims)}]"


@dataclass(frozen=True)
class Form:
    """The arrays that data must have, ``inputs`` but for the ``optional`` ones and by name ``extra``, and no others.

    ``aside``: inputs whose samples do not lie along the first axis, and along which they do, None for constants.
    """

    inputs: tuple[Input, ...]
    extra: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    aside: Mapping[str, int | None] = field(default_factory=dict)

    @staticmethod
    def of(graph: Graph, extra: Collection[str] = ()) -> Form:
        """Ask for the inputs of a graph."""
        made = (Input(each.name, each.shape, np.dtype(cast(Any, each.dtype))) for each in graph.inputs)
        return Form(tuple(made), frozenset(extra))

    @property
    def needed(self) -> tuple[Input, ...]:
        """The inputs that are not optional."""
        return tuple(each for each in self.inputs if each.name not in self.optional)

    @property
    def listed(self) -> str:
        """The inputs' names, for a person."""
        return ", ".join(f"'{each.name}'" for each in self.inputs)

    def lone(self, place: str) -> Input:
        """Return the only input, which an array without a name is meant for. Raises CalibrationError for several."""
        if len(self.needed) == 1 and not self.extra:
            return self.needed[0]
        needed = ", ".join([self.listed, *(f"'{name}'" for name in sorted(self.extra))])
        hint = "name them: {'name': array, ...} in Python, numpy.savez in a file"
        raise CalibrationError(f"{place} holds one array without a name", why=f"wanted are {needed}", hint=hint)

    def chosen(self, found: Collection[str], place: str) -> dict[str, str]:
        """Return, by the names wanted, the names found: a lone array of any name is meant for a lone input.

        Raises CalibrationError where one is missing, or is no input.
        """
        others = [name for name in found if name not in self.extra]
        if len(self.needed) == len(others) == 1 and self.extra <= set(found):
            return {self.needed[0].name: others[0], **{name: name for name in self.extra}}
        wanted = [*(each.name for each in self.inputs if each.name in found or each in self.needed), *self.extra]
        for name in wanted:
            if name not in found:
                held = ", ".join(f"'{key}'" for key in found) or "nothing"
                hint = f"the model's inputs are {self.listed}"
                raise CalibrationError(f"{place} has no array '{name}'", why=f"it has {held}", hint=hint)
        unknown = [name for name in found if name not in wanted]
        if unknown:
            hint = f"the model's inputs are {self.listed}; labels are named with --labels"
            raise CalibrationError(f"{place} has an array '{unknown[0]}' that is no input of the model", hint=hint)
        return {name: name for name in wanted}

    def single(self, name: str, axes: int) -> bool:
        """Whether an array of so many axes is one sample of this name, without the axis of samples."""
        ranks = {each.name: each.rank for each in self.inputs}
        rank = ranks.get(name, 1 if name in self.extra else None)
        return rank is not None and axes == rank - 1

    @property
    def divided(self) -> bool:
        """Whether the first samples are the first entries of all arrays but constants, for sure."""
        fixed = any(isinstance(dim, int) and dim > 0 for each in self.inputs for dim in (each.shape or ())[:1])
        return not any(axis for axis in self.aside.values()) and (len(self.inputs) == 1 or not fixed)

    def whole(self, name: str, shape: tuple[int, ...]) -> bool:
        """Whether an array of this name is not to be cut along its first axis: it may count something else."""
        alike = any(each.name == name and each.fixes(shape) for each in self.inputs)
        return name in self.aside or alike or self.single(name, len(shape))
