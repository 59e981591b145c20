"""Hashes of everything that a result may depend on: graph, samples, options, code."""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from ..ir.feeds import Calibration
from ..ir.graph import Array, Graph

_SOURCES = ("ir", "passes", "backends")
_PACKAGES = ("optimise-onnx", "numpy", "onnxruntime", "scipy")
_BATCH = 64

Part = str | bytes | int | float | bool | None | Array | Sequence["Part"]


def digest(*parts: Part) -> str:
    """Return a SHA-256 of values: types, shapes and nesting count."""
    state = hashlib.sha256()
    _feed(state, parts)
    return state.hexdigest()


def _feed(state: "hashlib._Hash", part: Part) -> None:
    if isinstance(part, np.ndarray):
        state.update(f"array {part.dtype.str} {part.shape};".encode())
        state.update(_content(part))
    elif isinstance(part, str | bytes | int | float | None):
        text = part if isinstance(part, bytes) else repr(part).encode()
        state.update(f"{type(part).__name__} {len(text)};".encode() + text)
    else:
        state.update(f"sequence {len(part)};".encode())
        for inner in part:
            _feed(state, inner)


def _content(array: Array) -> bytes:
    return repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes()


def graph_digest(graph: Graph) -> str:
    """Return the hash of a graph with its weights and the sizes of its inputs."""
    sizes: list[Part] = [list(pair) for pair in sorted(graph.sizes.of.items())] if graph.sizes else []
    return digest(graph.to_model().SerializeToString(deterministic=True), sizes)


def calibration_digest(calibration: Calibration) -> str:
    """Return the hash of all samples, read once, whatever the pieces they come in."""
    states: dict[str, hashlib._Hash] = {}
    for feeds in calibration.batches(_BATCH):
        for name, array in feeds.items():
            if name not in states:
                states[name] = hashlib.sha256(f"{array.dtype.str} {array.shape[1:]};".encode())
            states[name].update(_content(array))
    return digest(calibration.samples, calibration.step, [[name, states[name].digest()] for name in sorted(states)])


@cache
def code_digest() -> str:
    """Return the hash of our own sources, which change without a new version, and of the versions that results need."""
    root = Path(__file__).parents[1]
    files = sorted(path for part in _SOURCES for path in (root / part).rglob("*.py"))
    sources: list[Part] = [[path.relative_to(root).as_posix(), path.read_bytes()] for path in files]
    return digest([[name, _version(name)] for name in _PACKAGES], sources)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
