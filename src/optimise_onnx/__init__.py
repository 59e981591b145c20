"""Make trained ONNX networks smaller and faster."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ir.feeds import Calibration as Calibration
    from .passes.analysis.costs.target import Target as Target
    from .passes.manager import PassManager as PassManager
    from .tools.api import analyse as analyse
    from .tools.api import compress as compress
    from .tools.api import load as load
    from .tools.fixing import fix as fix
    from .tools.front import Front as Front
    from .tools.hls.handover import HlsResult as HlsResult
    from .tools.hls.handover import hls as hls
    from .tools.result import CompressResult as CompressResult
    from .tools.sweep import sweep as sweep

__version__ = "0.1.0"

_PUBLIC = {
    "Calibration": "ir.feeds",
    "CompressResult": "tools.result",
    "Front": "tools.front",
    "HlsResult": "tools.hls.handover",
    "PassManager": "passes.manager",
    "Target": "passes.analysis.costs.target",
    "analyse": "tools.api",
    "compress": "tools.api",
    "fix": "tools.fixing",
    "hls": "tools.hls.handover",
    "load": "tools.api",
    "sweep": "tools.sweep",
}

__all__ = [*_PUBLIC]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing the package stays quick."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'optimise_onnx' has no attribute '{name}'")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *_PUBLIC]
