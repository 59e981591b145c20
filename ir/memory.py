"""How much memory may be used: by default 80 % of what is free when it is first asked for."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from .errors import BudgetError, UsageError
from .quantity import BYTES, Quantity, scaled

_SHARE = 0.8
_ALL, _RESIDENT, _DATA = 0, 1, 5  # fields of /proc/self/statm: address space, memory held, address space for data
_MMAP_THRESHOLD = -3  # number of a setting of glibc
_LARGE_BLOCK = 2**20  # bytes
_HINT = "--memory-limit sets another limit"
_SIZE = Quantity("memory", "bytes", BYTES, examples=("4GiB",))
_TEXT = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<suffix>[A-Za-z]*)")
_GROUPS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
_limit: ContextVar[int | None] = ContextVar("memory limit", default=None)


@contextmanager
def memory_limit(wanted: str | int | None) -> Iterator[int]:
    """Within the block, refuse work whose estimate is above ``wanted``: bytes, a text like ``4GiB``, or the default.

    Yields the limit in bytes. Raises UsageError for a text that is no amount.
    """
    token = _limit.set(amount(wanted) if wanted is not None else int(_SHARE * free()))
    try:
        yield limit()
    finally:
        _limit.reset(token)


@contextmanager
def bounded(wanted: str | int | None) -> Iterator[None]:
    """Do what :func:`memory_limit` does, and let the system hold it: what would take more fails, as BudgetError.

    From then on large arrays that are freed go back to the system.
    """
    _give_back_what_is_freed()
    with memory_limit(wanted) as most:
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        bounds = [bound for bound in (soft, hard) if bound != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_DATA, (min(data() + most, *bounds, sys.maxsize), hard))
        try:
            yield
        except MemoryError as error:
            why = f"the limit is {scaled(float(most))}B"
            raise BudgetError("this needs too much memory", why=why, hint=_HINT) from error
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _give_back_what_is_freed() -> None:
    """Take large blocks from the system one by one, where the C library is glibc: in its heap they leave holes.

    By itself it does so from a size on that grows with the blocks that were freed.
    """
    if sys.platform == "linux" and not any(name.startswith("MALLOC_") for name in os.environ):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE_BLOCK)


def limit() -> int:
    """Return the limit in bytes."""
    known = _limit.get()
    return int(_SHARE * free()) if known is None else known


def afford(needed: int, what: str) -> None:
    """Raise BudgetError when ``what`` needs more bytes than the limit."""
    most = limit()
    if needed > most:
        why = f"about {scaled(float(needed))}B; the limit is {scaled(float(most))}B"
        raise BudgetError(f"{what} needs too much memory", why=why, hint=_HINT)


def free() -> int:
    """Return the bytes that this process may still take: of the machine, its control group, and its own limits."""
    return max(min([_machine(), *_group(), *_process()]), 0)


def resident() -> int:
    """Return the bytes of memory that this process holds; 0 where the system does not say."""
    return _pages(_RESIDENT)


def data() -> int:
    """Return the bytes of address space that this process holds for data; 0 where the system does not say."""
    return _pages(_DATA)


def _pages(field: int) -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[field]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _machine() -> int:
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        found = None
    if found is not None:
        return int(found[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _group() -> Iterator[int]:
    for most, used in _GROUPS:
        try:
            values = [int(Path("/sys/fs/cgroup", name).read_text()) for name in (most, used)]
        except (OSError, ValueError):
            continue
        yield values[0] - values[1]


def _process() -> Iterator[int]:
    for kind, field in ((resource.RLIMIT_AS, _ALL), (resource.RLIMIT_DATA, _DATA)):
        most = resource.getrlimit(kind)[0]
        if most != resource.RLIM_INFINITY:
            yield most - _pages(field)


def amount(wanted: str | int) -> int:
    """Read bytes, or a text like ``4GiB``. Raises UsageError for what is no amount."""
    match = _TEXT.fullmatch(str(wanted).strip())
    factor = None if match is None else _SIZE.factor(match["suffix"])
    if match is None or factor is None:
        raise UsageError(f"'{wanted}' is no amount of memory", hint="write it like 4GiB or 500MB")
    return int(float(match["amount"]) * factor)
