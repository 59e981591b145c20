"""Files written whole or not at all, alone or together."""

from __future__ import annotations

import os
import secrets
import signal
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

Chunks = Iterable[bytes | memoryview]

_OPEN = Path("/proc/self/fd")  # where a file without a name can be given one
_UNNAMED = getattr(os, "O_TMPFILE", 0) if _OPEN.is_dir() else 0
_NEW = 0o666  # less what the umask takes


def write_whole(path: Path, data: bytes) -> None:
    """Write one file that is no loss where the power fails. Raises OSError, and leaves the file as it was."""
    write_together({path: [data]}, lasting=False)


def write_together(contents: Mapping[Path, Chunks], lasting: bool = True) -> None:
    """Write files, in order: all of them, or none. Raises OSError, and leaves every file as it was.

    Each is complete, and ``lasting`` ones on disk, before the first gets its name. Links are written through, and an
    existing file keeps its mode and, where allowed, its owner. A process that is killed leaves nothing behind where the
    system knows files without a name. Chunks are taken one after another, so they may be made when they are asked for.
    """
    with ExitStack() as stack:
        drafts = [stack.enter_context(_Draft(path)) for path in contents]
        for draft, chunks in zip(drafts, contents.values(), strict=True):
            draft.fill(chunks, lasting)
        with undisturbed():
            _publish(drafts)


def try_place(path: Path) -> None:
    """Raise OSError where no file could be put in the place of ``path``, or the one that is there is not to be written.

    Nothing is changed.
    """
    target = Path(os.path.realpath(path))
    if target.exists():
        os.close(os.open(target, os.O_WRONLY))
    with _Draft(target) as draft:
        draft.name()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let signals wait until the block ends."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Draft:
    """A file that has its content before its name; it is forgotten at the end of the block unless published."""

    def __init__(self, path: Path) -> None:
        self.target = Path(os.path.realpath(path))
        self.new = not self.target.exists()
        self._part = self.target.with_name(f".optimise-onnx-{secrets.token_hex(8)}.part")
        self._file = -1

    def __enter__(self) -> _Draft:
        with suppress(OSError):  # not every file system has them
            self._file = os.open(self.target.parent, os.O_WRONLY | _UNNAMED, _NEW) if _UNNAMED else -1
        if self._file < 0:
            self._file = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), _NEW)
        return self

    def __exit__(self, *_error: object) -> None:
        self._close()
        self._part.unlink(missing_ok=True)

    def fill(self, chunks: Chunks, lasting: bool) -> None:
        """Write the content."""
        with os.fdopen(self._file, "wb", closefd=False) as file:
            for chunk in chunks:
                file.write(chunk)
        if not self.new:
            _resemble(self._file, self.target)
        if lasting:
            os.fsync(self._file)

    def name(self) -> None:
        """Give it a name beside the target, where it has none yet."""
        if not self._part.exists():
            folder = os.open(self.target.parent, os.O_RDONLY)
            try:
                os.link(_OPEN / str(self._file), self._part.name, dst_dir_fd=folder, follow_symlinks=True)
            finally:
                os.close(folder)
        self._close()

    def publish(self) -> None:
        """Put it in the target's place."""
        self._part.replace(self.target)

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _publish(drafts: Iterable[_Draft]) -> None:
    """Name all, then move all. A move that fails takes back those that made new files."""
    named = list(drafts)
    for draft in named:
        draft.name()
    for place, draft in enumerate(named):
        try:
            draft.publish()
        except OSError:
            for earlier in named[:place]:
                if earlier.new:
                    earlier.target.unlink()
            raise


def _resemble(file: int, target: Path) -> None:
    """Give an open file another's owner, where that is allowed, and its mode."""
    if sys.platform == "win32":
        return
    try:
        known = target.stat()
    except FileNotFoundError:  # it has gone meanwhile
        return
    with suppress(PermissionError):
        os.fchown(file, known.st_uid, known.st_gid)
    os.fchmod(file, stat.S_IMODE(known.st_mode))
