"""Things found by name: a literal table of ours, and what installed packages offer as entry points of one group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from .errors import UsageError

T = TypeVar("T")


@cache
def offered(group: str) -> tuple[EntryPoint, ...]:
    """List what installed packages offer under a group, sorted; read once a process."""
    return tuple(sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)))


@dataclass(frozen=True, eq=False)
class Registry(Mapping[str, T]):
    """A mapping from names to ``ours``, in the order of the table, then to what other packages offer, by name.

    ``what`` says what a name stands for, "criterion"; ``group`` is the entry points' group; ``kind`` is the class, or
    the runtime-checkable protocol, that each is an instance of, ``type`` where they are classes. Theirs are imported
    when they are asked for. Every access raises UsageError where two packages offer one name, or a name of ours is
    offered, and where what is asked for cannot be imported or is not of ``kind``.
    """

    what: str
    group: str
    ours: Mapping[str, T]
    kind: type = object

    def __getitem__(self, name: str) -> T:
        theirs = self._theirs()
        return self.ours[name] if name in self.ours else self._load(theirs[name])

    def __contains__(self, name: object) -> bool:
        return name in self.ours or name in self._theirs()

    def __iter__(self) -> Iterator[str]:
        return iter((*self.ours, *self._theirs()))

    def __len__(self) -> int:
        return len(self.ours) + len(self._theirs())

    def find(self, name: str, *others: str) -> T:
        """Return what a name stands for. Raises UsageError that lists names: known ones, and ``others`` that a caller
        understands besides.
        """
        if name in self:
            return self[name]
        known = [*self, *others]
        close = "".join(f"did you mean '{near}'? " for near in get_close_matches(name, known, 1))
        raise UsageError(f"no {self.what} is called '{name}'", hint=f"{close}one of {', '.join(known) or 'none'}")

    def _theirs(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for entry in offered(self.group):
            if entry.name in self.ours or entry.name in found:
                why = f"the entry point '{entry.value}' offers the {self.what} '{entry.name}', which exists already"
                raise UsageError(why, hint="rename it, or uninstall its package")
            found[entry.name] = entry
        return found

    def _load(self, entry: EntryPoint) -> T:
        called = f"the {self.what} '{entry.name}' of '{entry.value}'"
        try:
            found: T = entry.load()
        except Exception as error:  # whatever another package does while it is imported
            raise UsageError(f"{called} cannot be imported", why=str(error)) from error
        if not isinstance(found, self.kind):
            raise UsageError(f"{called} is not a {self.kind.__name__}", why=f"it is {found!r}")
        if isinstance(found, type) and self.kind not in (object, type) and "__call__" not in vars(self.kind):
            raise UsageError(f"{called} is a class", hint=f"offer an instance: name = {found.__name__}()")
        return found
