"""Where results that are dear to compute are kept between runs."""

import os
import sys
from pathlib import Path

_FOLDER = "OPTIMISE_ONNX_CACHE"


def default_folder() -> Path:
    """Return ``OPTIMISE_ONNX_CACHE``, else our folder where the platform keeps caches."""
    if os.environ.get(_FOLDER):
        return Path(os.environ[_FOLDER])
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "optimise-onnx"
