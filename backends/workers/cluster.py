"""A Dask cluster, through its client's own executor."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from ...ir.errors import UsageError
from ...ir.workers import Workers
from .pool import Pooled
from .task import HELD, Blob

_SECONDS = 10
_BOARD = "board"  # what a worker is started with that has one: dask worker --resources board=1


@contextmanager
def cluster(address: str) -> Iterator[Workers]:
    """Connect to the scheduler at ``address``, ``tcp://host:port``; the connection ends with the block.

    Raises UsageError where Dask is not installed, or nothing answers.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        hint = "pip install 'optimise-onnx[distributed]'"
        raise UsageError("a scheduler needs Dask, which is not installed", hint=hint) from error
    try:
        client = distributed.Client(address, timeout=_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(
            f"no scheduler answers at '{address}'", why=str(error), hint="write tcp://host:port"
        ) from error
    with client:
        yield Pooled(_Cluster(client))


class _Cluster:
    """What workers hold is scattered to all of them, and told apart by its hash."""

    said = "workers of the cluster"

    def __init__(self, client: Any, **needed: Any) -> None:
        self.lost: tuple[type[BaseException], ...] = (import_module("distributed.scheduler").KilledWorker,)
        self._client, self._executor = client, client.get_executor(**needed)
        self._sent = dict[str, Any]()

    @property
    def boards(self) -> _Cluster | None:
        """The workers with the resource ``board``: the scheduler gives out as many items at once as there are."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        having = any(worker.get("resources", {}).get(_BOARD) for worker in workers)
        return _Cluster(self._client, resources={_BOARD: 1}) if having else None

    def executor(self) -> Executor:
        """Return the client's executor. Raises UsageError where the scheduler is gone."""
        if self._client.status != "running":
            raise UsageError("the scheduler is gone", hint="start it again: what is finished is kept in the cache")
        executor: Executor = self._executor
        return executor

    def renew(self) -> None:
        """Go on with the same one: the scheduler knows who is there."""

    def part(self, value: Any) -> Any:
        """Send a value to all workers there are, unless they have it; others get it from those."""
        blob = Blob.of(value)
        known = self._sent.pop(blob.digest, None)
        if known is None or known.status != "finished":
            known = self._client.scatter(blob, broadcast=True, hash=False)
        self._sent[blob.digest] = known
        while len(self._sent) > HELD:
            del self._sent[next(iter(self._sent))]
        return known
