"""What a worker does: it opens what it holds, once, and works on one item."""

from __future__ import annotations

import hashlib
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..blas import one_thread

Result = TypeVar("Result")

HELD = 8  # parts: a model, samples, measurements, of two works
_held: OrderedDict[str, Any] = OrderedDict()
_alone = threading.Lock()  # threads of one process would share what passes change, such as warnings' filters


@dataclass(frozen=True)
class Blob:
    """A pickled value, by its hash."""

    digest: str
    data: bytes

    @staticmethod
    def of(value: Any) -> Blob:
        """Pickle a value."""
        data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        return Blob(hashlib.sha256(data).hexdigest(), data)

    def read(self) -> bytes:
        """Return the bytes."""
        return self.data


@dataclass(frozen=True)
class Stored:
    """A pickled value in a file that workers can read."""

    digest: str
    path: Path

    def read(self) -> bytes:
        """Return the bytes. Raises OSError."""
        return self.path.read_bytes()


def task(work: Callable[..., Result], item: Any, *parts: Blob | Stored) -> Result:
    """Return ``work(*held, item)``, BLAS on one thread; parts that were opened before are not read again."""
    with _alone, one_thread():
        return work(*_opened(parts), item)


def _opened(parts: Sequence[Blob | Stored]) -> list[Any]:
    for part in parts:
        if part.digest not in _held:
            _held[part.digest] = pickle.loads(part.read())
        _held.move_to_end(part.digest)
    opened = [_held[part.digest] for part in parts]
    while len(_held) > HELD:
        _held.popitem(last=False)
    return opened
