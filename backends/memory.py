"""Memory of the process: what is freed is kept for the next array instead of being given back and asked for again."""

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's names of its settings, see mallopt(3)
_KEPT = 128 << 20  # bytes: of more than that, freed at the end of the heap, all is given back
_OWN = 32 << 20  # bytes: the most that glibc lets come from the heap; larger arrays are mapped alone


def keep_freed() -> None:
    """Let glibc keep up to 128 MiB of freed memory at the end of its heap; other allocators are left as they are.

    For processes of our own only. Arrays of a few MB that come and go otherwise fault their pages in each time.
    """
    with suppress(AttributeError, OSError, TypeError):  # there is no glibc
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, _OWN)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT)
