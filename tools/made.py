"""How a model was made: what was asked, of which model and samples, by which versions, and what devices answered."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..ir.feeds import Calibration
from ..ir.graph import Graph
from ..passes.hashing import calibration_digest, graph_digest
from .settings import Running, Settings
from .tape import Answer

PACKAGES = ("optimise-onnx", "onnx", "onnxruntime", "numpy", "scipy")


@dataclass(frozen=True)
class Request:
    """What a compression was called with; None for what was in memory, or not given."""

    source: str | None
    data: str | None
    samples: int | None
    labels: str | None
    metric: str | None
    options: Mapping[str, Any]

    @staticmethod
    def of(
        source: object, settings: Settings, data: object, samples: int | None, labels: str | None, metric: object
    ) -> Request:
        """Keep what can be written down."""
        return Request(_path(source), _path(data), samples, labels, _path(metric), options(settings))


@dataclass(frozen=True)
class Made:
    """``model``, ``samples`` and ``result`` are SHA-256 of the contents, whatever the files are called; ``samples`` of
    those that passes saw, None without data.
    """

    request: Request
    model: str
    samples: str | None
    result: str
    versions: Mapping[str, str]
    answers: tuple[Answer, ...]

    @staticmethod
    def of(request: Request, graph: Graph, used: Calibration | None, result: Graph, answers: list[Answer]) -> Made:
        """Hash a model, its samples and the result."""
        seen = None if used is None else calibration_digest(used)
        return Made(request, graph_digest(graph), seen, graph_digest(result), versions(), tuple(answers))

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        told = {name: getattr(self, name) for name in ("model", "samples", "result")}
        answers = [{"asked": asked, "answer": answer} for asked, answer in self.answers]
        return {"request": asdict(self.request), **told, "versions": dict(self.versions), "device": answers}


def versions() -> dict[str, str]:
    """Name what a result depends on: packages, Python, and the machine."""
    found = {name: version(name) for name in PACKAGES}
    return {**found, "python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}


def options(settings: Running) -> dict[str, Any]:
    """Return the options that are not as they are by default, as plain values."""
    found = {}
    for each in fields(settings):
        value = getattr(settings, each.name)
        if each.name == "target":
            found["target"] = str(value)
        elif each.metadata and each.default is not MISSING and value != each.default and value not in ((), []):
            found[each.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: list(shape) for name, shape in value.items()}
    return list(value) if isinstance(value, list | tuple) else value


def _path(given: object) -> str | None:
    return str(given) if isinstance(given, str | Path) else None
