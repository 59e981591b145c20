"""Hashes of everything that a result may depend on: graph, samples, options, code."""

import hashlib
import secrets
import sys
from collections.abc import Iterator, Sequence
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..ir.feeds import Calibration
from ..ir.graph import Array, Graph
from ..ir.mapped import let_go
from ..ir.registry import offered
from ..ir.wire import as_bytes

_SOURCES = ("ir", "passes", "backends")
_PACKAGES = ("optimise-onnx", "numpy", "onnxruntime", "scipy")
_RULES = ("optimise_onnx.rules", "optimise_onnx.rewrites", "optimise_onnx.stand_ins")
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
        let_go([part])  # of a model larger than memory no more than one is held
    elif isinstance(part, str | bytes | int | float | None):
        text = part if isinstance(part, bytes) else repr(part).encode()
        state.update(f"{type(part).__name__} {len(text)};".encode() + text)
    else:
        state.update(f"sequence {len(part)};".encode())
        for inner in part:
            _feed(state, inner)


def _content(array: Array) -> bytes | memoryview:
    return repr(array.tolist()).encode() if array.dtype.hasobject else as_bytes(array)


def graph_digest(graph: Graph) -> str:
    """Return the hash of a graph with its weights and the sizes of its inputs."""
    sizes: list[Part] = [list(pair) for pair in sorted(graph.sizes.of.items())] if graph.sizes else []
    model, values = graph.light()
    weights: list[Part] = [[name, array] for name, array in values.items()]
    return digest(model.SerializeToString(deterministic=True), weights, sizes)


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
    """Return the hash of what all results depend on: our own sources, which change without a new version, other
    packages' rules of operators, and the versions of packages.
    """
    root = Path(__file__).parents[1]
    files = sorted(path for part in _SOURCES for path in (root / part).rglob("*.py"))
    sources: list[Part] = [[path.relative_to(root).as_posix(), path.read_bytes()] for path in files]
    rules = sorted({entry.module for group in _RULES for entry in offered(group)})
    return digest([[name, _version(name)] for name in _PACKAGES], sources, _sources(rules))


def source_digest(*things: object) -> str:
    """Return the hash of the code of other packages that functions, classes and objects, or functions that these hold,
    come from: all modules of each package. What lies in no file, as in a notebook, is another hash at every call.
    """
    return digest(_sources(sorted({module for thing in things for module in _modules(thing)})))


def _modules(thing: object) -> Iterator[str]:
    """Name the modules that a function, a class, or an object comes from."""
    if isinstance(thing, partial):
        yield from _modules(thing.func)
        return
    own = getattr(thing, "__module__", None)
    yield own if isinstance(own, str) else type(thing).__module__
    held = vars(thing).values() if hasattr(thing, "__dict__") and not isinstance(thing, type) else ()
    yield from (value.__module__ for value in held if callable(value) and isinstance(value.__module__, str))


def _sources(modules: Sequence[str]) -> list[Part]:
    ours = __name__.partition(".")[0]
    found: list[Part] = []
    for module in modules:
        top = module.partition(".")[0]
        if top in {ours, *_PACKAGES} or top in sys.stdlib_module_names - {"__main__"}:
            continue
        files = _files(top) or (_files(module) if module in sys.modules else [])
        found.append([[path.name, path.read_bytes()] for path in files] or secrets.token_bytes())
    return found


def _files(module: str) -> list[Path]:
    """List the Python files of a package, or of a module."""
    loaded = sys.modules.get(module)
    folders = list(getattr(loaded, "__path__", ()))
    file = getattr(loaded, "__file__", None)
    if loaded is None and (spec := find_spec(module)) is not None:
        folders, file = list(spec.submodule_search_locations or ()), spec.origin
    if folders:
        return sorted(path for folder in folders for path in Path(folder).rglob("*.py"))
    return [Path(file)] if file and file.endswith(".py") else []


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
