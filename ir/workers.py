"""Where work is done that falls into items: candidates, shards of statistics. Results depend on no such place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")


class Workers(Protocol):
    """Does items of work: in this process, in others, or on other machines."""

    @property
    def boards(self) -> Workers | None:
        """Those of them that have a board which times models, each one item at a time; None where none has."""

    def each(
        self, work: Callable[..., Result], held: Sequence[Any], items: Sequence[Any]
    ) -> Iterator[tuple[int, Result]]:
        """Yield the number of each item and ``work(*held, item)``, as they are done, in any order.

        ``work`` is a function of a module; ``held`` goes to each worker once. What is lost with a worker is done again.
        Raises what ``work`` raises, UsageError where no worker is left.
        """


@dataclass(frozen=True)
class InProcess:
    """Does all of it here, one item after another, as they are asked for. Nothing is pickled."""

    @property
    def boards(self) -> Workers | None:
        """There are none that this process knows of."""
        return None

    def each(
        self, work: Callable[..., Result], held: Sequence[Any], items: Sequence[Any]
    ) -> Iterator[tuple[int, Result]]:
        """Do them in order."""
        for number, item in enumerate(items):
            yield number, work(*held, item)


IN_PROCESS = InProcess()


def in_order(done: Iterable[tuple[int, Result]]) -> Iterator[Result]:
    """Yield results by their numbers, 0 first, whatever the order they come in; early ones wait."""
    waiting, number = dict[int, Result](), 0
    for early, result in done:
        waiting[early] = result
        while number in waiting:
            yield waiting.pop(number)
            number += 1
