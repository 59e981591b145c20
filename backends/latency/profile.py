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
    """Average the quickest quarter: other processes only ever add time, and whole microseconds are coarse."""
    times = sorted(float(row["dur"]) for row in rows)
    quick = times[: (len(times) + 3) // 4]
    return sum(quick) / len(quick) * 1e-6 + _HALF_TICK
