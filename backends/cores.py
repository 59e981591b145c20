"""The processor cores that this process may use."""

import os
from pathlib import Path

_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def cores() -> list[set[int]]:
    """List the cores, each as the numbers of the processors that it is to the system: two where threads share it."""
    if not hasattr(os, "sched_getaffinity"):
        return [{number} for number in range(os.cpu_count() or 1)]
    found = dict[str, set[int]]()
    for number in sorted(os.sched_getaffinity(0)):
        path = Path(_SIBLINGS.format(number))
        found.setdefault(path.read_text() if path.is_file() else str(number), set()).add(number)
    return list(found.values())


def stay_on(share: int, shares: int) -> None:
    """Let this process use one of several equal shares of the cores, at least one, where the system allows that."""
    own = cores()
    if hasattr(os, "sched_setaffinity") and shares > 1:
        count = max(1, len(own) // shares)
        first = share * count % len(own)
        os.sched_setaffinity(0, set().union(*own[first : first + count]))
