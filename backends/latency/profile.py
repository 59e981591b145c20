"""Kernel times as onnxruntime's own profiler gives them, by node."""

import json
from pathlib import Path
from typing import Any

import onnxruntime

_SUFFIX = "_kernel_time"
_HALF_TICK = 0.5e-6  # the profiler cuts durations down to whole microseconds
Event = dict[str, Any]
Events = dict[str, list[Event]]


def events(session: onnxruntime.InferenceSession) -> Events:
    """End a session's profile, and return its kernels' events by node name, oldest first. The file is removed."""
    path = Path(session.end_profiling())
    try:
        rows = json.loads(path.read_text())
    finally:
        path.unlink(missing_ok=True)
    found: Events = {}
    for row in rows:
        if row.get("cat") == "Node" and row["name"].endswith(_SUFFIX):
            found.setdefault(row["name"].removesuffix(_SUFFIX), []).append(row)
    return found


def seconds(rows: list[Event]) -> float:
    """Average the quicker half: whole microseconds are too coarse for a median of short kernels."""
    times = sorted(float(row["dur"]) for row in rows)
    half = times[: (len(times) + 1) // 2]
    return sum(half) / len(half) * 1e-6 + _HALF_TICK
