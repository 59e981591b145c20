"""onnxruntime in this process: it sends nothing home, and says nothing that no error says, unless it is asked to."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, when the library is loaded

import onnxruntime as onnxruntime  # noqa: E402

_SILENT, _WARNINGS = 4, 2
_SEVERITY = [_SILENT]


def prepare() -> None:
    """Switch telemetry off, also where the library was loaded before, and logs too."""
    if hasattr(onnxruntime, "disable_telemetry_events"):  # some builds have none
        onnxruntime.disable_telemetry_events()
    onnxruntime.set_default_logger_severity(severity())


def talk() -> None:
    """Let warnings be logged, by sessions that are made from now on too."""
    _SEVERITY[0] = _WARNINGS
    onnxruntime.set_default_logger_severity(severity())


def severity() -> int:
    """Return the least severity of what sessions shall log, as onnxruntime numbers it."""
    return _SEVERITY[0]
