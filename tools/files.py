"""Output files: checked before any work is done, then written whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..ir.errors import UsageError
from ..ir.writing import Chunks, try_place, write_together

_LONGEST = 255  # bytes of a file's name
_WEIGHTS = ".data"
_OTHER = {
    stat.S_ISBLK: "a device",
    stat.S_ISCHR: "a device",
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
}


def check_outputs(paths: Iterable[Path | None], inputs: Iterable[str | Path | None] = ()) -> None:
    """Do what :func:`check_output` does for all places that are given, each once. Raises UsageError."""
    paths = list(paths)
    given = [source for source in inputs if source is not None]
    places = [each.resolve() for each in paths if each is not None]
    if len(places) > len(set(places)):
        raise UsageError("one file is named for two outputs", hint="choose another name")
    for path in paths:
        if path is not None:
            check_output(path, given)


def check_output(path: Path, inputs: Iterable[str | Path] = ()) -> None:
    """Raise UsageError when ``path`` is no place for a file, or one of the inputs, also through links.

    An input is a file, ``script.py:function``, a folder of files, or a model, whose external data is one as well.
    """
    if str(path) == "-":
        raise UsageError("'-' is no file", hint="name a file, such as found.json")
    there = _stat(path)
    for kind, called in _OTHER.items():
        if there is not None and kind(there.st_mode):
            hint = "add a file name" if called == "a folder" else "name a file; --dry-run writes nothing"
            raise UsageError(f"the output '{path}' is {called}", hint=hint)
    if not Path(os.path.realpath(path)).parent.is_dir():
        raise UsageError(f"the folder of '{path}' does not exist")
    for source in inputs:
        if _same(path, Path(source)):
            raise UsageError(f"the output '{path}' is the input '{source}'", hint="choose another name")
        if _belonging(source, {path.resolve(), beside(path)}):
            raise UsageError(f"the output '{path}' belongs to the input '{source}'", hint="choose another name")
    try:
        try_place(path)
    except OSError as error:
        what = "overwrite" if there is not None else "write into the folder of"
        raise UsageError(f"cannot {what} '{path}'", why=error.strerror or str(error)) from error


def beside(path: Path) -> Path:
    """Return where the weights of a model at ``path`` lie that do not fit into it."""
    place = path.resolve()
    name = os.fsdecode(os.fsencode(place.name)[: _LONGEST - len(_WEIGHTS)])
    return place.with_name(name + _WEIGHTS)


def make_folder(path: Path) -> None:
    """Make a folder unless it is there. Raises UsageError."""
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder '{path}'", why=error.strerror or str(error)) from error


def write(contents: Mapping[Path, Chunks]) -> None:
    """Write files, all or none. Raises UsageError, leaving everything as it was."""
    try:
        write_together(contents)
    except OSError as error:
        names = " and ".join(f"'{path}'" for path in contents)
        raise UsageError(f"cannot write {names}", why=error.strerror or str(error)) from error


def _stat(path: Path) -> os.stat_result | None:
    """Look at what a path leads to; None where nothing is. Raises UsageError for what can be no path."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"the output '{path}' cannot be written", why=why) from error


def _same(path: Path, source: Path) -> bool:
    try:
        if path.exists() and source.exists():
            return path.samefile(source)
    except OSError:  # an input that cannot be looked at is refused when it is read
        return False
    return path.resolve() == source.resolve()


def _belonging(source: str | Path, written: set[Path]) -> bool:
    """Whether some of the files that may be written is one that an input is made of."""
    there = {path for path in written if path.exists()}
    if not there:
        return False
    from ..frontends.scripts import is_script  # not before they are needed: they take long to import
    from .external import locations

    if is_script(str(source)):
        return Path(str(source).rpartition(":")[0]).resolve() in there
    path = Path(source)
    if path.is_dir():
        return not there.isdisjoint(member.resolve() for member in path.glob("*.npz"))
    return not there.isdisjoint(locations(path))
