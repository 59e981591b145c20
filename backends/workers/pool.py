"""Items of work on any executor of :mod:`concurrent.futures`, done again where workers are lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, as_completed
from typing import Any, Protocol, TypeVar

from ...ir.errors import UsageError
from .task import task

Result = TypeVar("Result")

_ATTEMPTS = 3
_HINT = "memory may be short; a script must call this below `if __name__ == '__main__':`"


class Place(Protocol):
    """An executor, and how what its workers hold gets to them."""

    said: str
    lost: tuple[type[BaseException], ...]

    @property
    def boards(self) -> Place | None:
        """The same workers, for items that need a board; None where none has one."""

    def executor(self) -> Executor:
        """Return the executor. Raises UsageError where there is none any more."""

    def renew(self) -> None:
        """Have another executor, after workers were lost, where the same one is of no use."""

    def part(self, value: Any) -> Any:
        """Return what stands for a value among the arguments of a task: it goes to every worker once."""


class Pooled:
    """Gives items to the workers of a place. One that is lost with its worker is given out again."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @property
    def boards(self) -> Pooled | None:
        """The workers that have a board; see :class:`optimise_onnx.ir.workers.Workers`."""
        boards = self._place.boards
        return None if boards is None else Pooled(boards)

    def each(
        self, work: Callable[..., Result], held: Sequence[Any], items: Sequence[Any]
    ) -> Iterator[tuple[int, Result]]:
        """Yield the number of each item and its result as they are done; see :class:`optimise_onnx.ir.workers.Workers`.

        Raises UsageError where workers are lost three times with nothing done between.
        """
        waiting, attempts = dict(enumerate(items)), 0
        while waiting:
            attempts, before = attempts + 1, len(waiting)
            for number, result in self._round(work, held, waiting):
                del waiting[number]
                yield number, result
            attempts = attempts if len(waiting) == before else 0
            if waiting:
                self._place.renew()
            if attempts == _ATTEMPTS:
                why = f"{self._place.said} lost what they worked on {_ATTEMPTS} times"
                raise UsageError("the work cannot be done by other processes", why=why, hint=_HINT)

    def _round(
        self, work: Callable[..., Result], held: Sequence[Any], waiting: dict[int, Any]
    ) -> Iterator[tuple[int, Result]]:
        """Give out what is waiting and yield what comes back; what is lost stays away."""
        futures = dict[Future[Result], int]()
        lost: tuple[type[BaseException], ...] = (CancelledError, *self._place.lost)
        try:
            executor = self._place.executor()
            parts = [self._place.part(value) for value in held]
            for number, item in waiting.items():
                futures[executor.submit(task, work, item, *parts)] = number
        except lost:  # while they were given out
            pass
        try:
            for future in as_completed(futures):
                try:
                    result = future.result()
                except lost:
                    continue
                yield futures[future], result
        finally:
            for future in futures:
                future.cancel()
