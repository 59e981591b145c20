"""Linear algebra on one thread: sums come out the same, bit by bit, however many cores there are."""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS and LAPACK take one thread within the block; what runs models is not meant."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield
