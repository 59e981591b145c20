"""What a model wants of data: its inputs, and the arrays that stay with the samples."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
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

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether samples of this shape, the axis of samples first, suit what the model fixes."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            not isinstance(dim, int) or dim in (0, size) for dim, size in zip(self.shape[1:], shape[1:], strict=True)
        )

    def __str__(self) -> str:
        return f"[{', '.join(['samples', *(str(dim or 'any') for dim in (self.shape or ())[1:])])}]"


@dataclass(frozen=True)
class Form:
    """The arrays that data must have, ``inputs`` and by name ``extra``, and no others."""

    inputs: tuple[Input, ...]
    extra: frozenset[str] = frozenset()

    @staticmethod
    def of(graph: Graph, extra: Collection[str] = ()) -> Form:
        """Ask for the inputs of a graph."""
        made = (Input(each.name, each.shape, np.dtype(cast(Any, each.dtype))) for each in graph.inputs)
        return Form(tuple(made), frozenset(extra))

    @property
    def listed(self) -> str:
        """The inputs' names, for a person."""
        return ", ".join(f"'{each.name}'" for each in self.inputs)

    def lone(self, place: str) -> Input:
        """Return the only input, which an array without a name is meant for. Raises CalibrationError for several."""
        if len(self.inputs) == 1 and not self.extra:
            return self.inputs[0]
        needed = ", ".join([self.listed, *(f"'{name}'" for name in sorted(self.extra))])
        hint = "name them: {'name': array, ...} in Python, numpy.savez in a file"
        raise CalibrationError(f"{place} holds one array without a name", why=f"wanted are {needed}", hint=hint)

    def chosen(self, found: Collection[str], place: str) -> dict[str, str]:
        """Return, by the names wanted, the names found: a lone array of any name is meant for a lone input.

        Raises CalibrationError where one is missing, or is no input.
        """
        others = [name for name in found if name not in self.extra]
        if len(self.inputs) == len(others) == 1 and self.extra <= set(found):
            return {self.inputs[0].name: others[0], **{name: name for name in self.extra}}
        wanted = [*(each.name for each in self.inputs), *self.extra]
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
