"""Where results that are dear to compute are kept between runs, and what is said when that fails."""

import os
import sys
import warnings
from pathlib import Path

_FOLDER = "OPTIMISE_ONNX_CACHE"


class CacheWarning(UserWarning):
    """What was measured cannot be kept, or what was kept cannot be read: it is measured anew, and the work goes on."""


def notice(text: str) -> None:
    """Warn that a cache is in no use. It never fails a run."""
    warnings.warn(text, CacheWarning, stacklevel=2)


def default_folder() -> Path | None:
    """Return ``OPTIMISE_ONNX_CACHE``, else our folder where the platform keeps caches; None for users without a home.

    As the platforms want it, a place that is not told from the root on is none.
    """
    if os.environ.get(_FOLDER):
        return Path(os.environ[_FOLDER])
    if sys.platform == "win32":
        base = _told("LOCALAPPDATA") or _at_home("AppData", "Local")
    elif sys.platform == "darwin":
        base = _at_home("Library", "Caches")
    else:
        base = _told("XDG_CACHE_HOME") or _at_home(".cache")
    return None if base is None else base / "optimise-onnx"


def _told(variable: str) -> Path | None:
    place = Path(os.environ.get(variable, ""))
    return place if place.is_absolute() else None


def _at_home(*names: str) -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:  # no HOME, and the system knows no such user
        return None
    return home.joinpath(*names) if home.is_absolute() else None
