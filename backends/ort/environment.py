"""onnxruntime in this process: it sends nothing home, and says nothing that no error says, unless it is asked to."""

import onnxruntime

_SILENT, _WARNINGS = 4, 2
_SEVERITY = [_SILENT]


def prepare() -> None:
    """Switch telemetry off, where this build has any, and logs too."""
    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()
    onnxruntime.set_default_logger_severity(severity())


def talk() -> None:
    """Let warnings be logged, by sessions that are made from now on too."""
    _SEVERITY[0] = _WARNINGS
    onnxruntime.set_default_logger_severity(severity())


def severity() -> int:
    """Return the least severity of what sessions shall log, as onnxruntime numbers it."""
    return _SEVERITY[0]
