"""Sizes of inputs: what the dimensions that a model leaves open are taken to be. Chosen once, kept with the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .errors import OptimiseOnnxError, UsageError
from .handles import Array, Dim

SIDES = (32, 64, 224, 16, 8, 1)
"""What to try for the open dimensions of a model, all alike, where nobody says their sizes: in this order."""

BATCH = "(samples)"
"""A dimension that counts samples, whatever the model calls it."""

UNNAMED = "?"
"""What exporters write for dimensions that they know nothing of: two of them need not be alike."""

Shape = tuple[int, ...]
Declared = Mapping[str, tuple[Dim, ...]]


@dataclass(frozen=True)
class Seen:
    """What runs have shown of a tensor whose shape inference cannot tell: ``dims`` at no sample and what each adds."""

    dtype: str
    dims: tuple[tuple[int, int], ...]

    def shape(self, batch: int) -> Shape:
        """Return its shape for so many samples."""
        return tuple(least + more * batch for least, more in self.dims)


@dataclass(frozen=True)
class Sizes:
    """``of``: the size of every open dimension but the batch, by the names of :func:`open_dims`.

    ``tried`` names those that nobody said: they are a size at which the model works. ``seen``: by tensor name.
    ``axes``: which axis of an input counts samples where that is not the first; ``constants``: inputs that are the same
    at every run. ``alone``: the model runs on one sample at a time, though it leaves the batch open.
    """

    of: Mapping[str, int] = field(default_factory=dict)
    tried: frozenset[str] = frozenset()
    seen: Mapping[str, Seen] = field(default_factory=dict)
    axes: Mapping[str, int] = field(default_factory=dict)
    constants: Mapping[str, Array] = field(default_factory=dict, compare=False)
    alone: bool = False

    @property
    def said(self) -> dict[str, int]:
        """Those that were not tried."""
        return {dim: size for dim, size in self.of.items() if dim not in self.tried}


class Statement(NamedTuple):
    """The whole shape of one input, for one sample where the batch is open; ``text`` tells a person who says so."""

    text: str
    name: str
    shape: Shape


def named(declared: Declared) -> dict[str, tuple[int | str | None, ...]]:
    """Return the dimensions of every input: fixed ones as numbers, None for the batch, others by name.

    The name is the symbol, or ``input[axis]`` where there is none or :data:`UNNAMED`. A symbol that is met first as a
    leading dimension is a batch, wherever it stands; so is :data:`BATCH`, and no other dimension of its input.
    """
    batch: dict[str, bool] = {}

    def name(owner: str, axis: int, dim: Dim) -> int | str | None:
        if isinstance(dim, int) and dim > 0:
            return dim
        own = dim if isinstance(dim, str) and dim not in ("", UNNAMED) else f"{owner}[{axis}]"
        first = axis == 0 and BATCH not in declared[owner]
        return None if dim == BATCH or batch.setdefault(own, first) else own

    return {owner: tuple(name(owner, *pair) for pair in enumerate(dims)) for owner, dims in declared.items()}


def open_dims(declared: Declared) -> list[str]:
    """Name the open dimensions other than the batch, each once."""
    return list(dict.fromkeys(dim for dims in named(declared).values() for dim in dims if isinstance(dim, str)))


def shapes_at(declared: Declared, of: Mapping[str, int], batch: int) -> dict[str, Shape]:
    """Return the shape of every input for ``batch`` samples, where that is open. KeyError for a size left unsaid."""

    def size(dim: int | str | None) -> int:
        if dim is None:
            return batch
        return of[dim] if isinstance(dim, str) else dim

    return {owner: tuple(map(size, dims)) for owner, dims in named(declared).items()}


def batch_of(declared: Declared, shapes: Mapping[str, Shape]) -> int:
    """Return for how many samples these shapes of the inputs are: 1 where no dimension counts them."""
    found = (
        shapes[owner][axis] for owner, dims in named(declared).items() for axis, dim in enumerate(dims) if dim is None
    )
    return next(found, 1)


def check(declared: Declared, said: Statement, any_batch: bool = False) -> None:
    """Raise UsageError for a statement on no input, of another rank, or against a dimension that the model fixes.

    It is of one sample, or with ``any_batch`` of any number.
    """
    if said.name not in declared:
        known = ", ".join(f"'{name}'" for name in declared)
        raise UsageError(f"{said.text} is of no input", hint=f"the model's inputs are {known}")
    if any(size < 1 for size in said.shape):
        raise UsageError(f"{said.text} has a dimension below 1")
    wanted = named(declared)[said.name]
    why = f"the model takes [{written(declared[said.name])}]"
    fits = len(said.shape) == len(wanted) and all(
        not isinstance(dim, int) or dim == size for dim, size in zip(wanted, said.shape, strict=True)
    )
    if not fits:
        raise UsageError(f"{said.text} does not fit", why=why)
    if not any_batch and any(dim is None and size != 1 for dim, size in zip(wanted, said.shape, strict=True)):
        raise UsageError(f"{said.text} is not of one sample", why=why, hint="give 1 for the batch")


def agreed(
    dims: Mapping[str, Sequence[int | str | None]], said: Iterable[Statement], error: type[OptimiseOnnxError]
) -> dict[str, int]:
    """Gather what statements, which fit, say about dimensions that have names, as those of :func:`named`.

    Raises ``error`` where two of them differ.
    """
    first: dict[str, tuple[int, Statement]] = {}
    for one in said:
        for dim, size in zip(dims[one.name], one.shape, strict=True):
            if not isinstance(dim, str):
                continue
            known, other = first.setdefault(dim, (size, one))
            if known != size:
                against = "itself" if other is one else one.text
                why = f"{dim} is {known} in one place and {size} in another"
                raise error(f"{other.text} contradicts {against}", why=why)
    return {dim: size for dim, (size, _) in first.items()}


def written(dims: Iterable[Dim]) -> str:
    """Write declared dimensions for a person."""
    return ", ".join(str(dim or "any") for dim in dims)
