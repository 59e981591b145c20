"""The state of a pipeline between two passes, in a folder: to go on from after an interruption, or to show a failure.

``state.json`` names the graphs beside it by their hashes and is renamed into place last, so a folder always holds one
whole state.
"""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..ir.errors import UsageError
from ..ir.feeds import Calibration
from ..ir.graph import Graph
from ..ir.writing import write_whole
from .analysis.channels.ranking import Ranking
from .analysis.view import View
from .base import Context
from .codec import decode, encode
from .hashing import calibration_digest, digest, graph_digest
from .observers import Record
from .plan import Plan

_STATE = "state.json"
_OF_RANKING = ("criterion", "groups", "droppable", "rows")
_FEW = 64  # samples that a reproducer holds
_PACKAGES = ("optimise-onnx", "onnx", "onnxruntime", "onnx-graphsurgeon", "numpy", "scipy")


def run_key(
    given: Graph, pipeline: str, seed: int, calibration: Calibration | None, fit_samples: int | None = None
) -> str:
    """Return a hash of what a run starts from: its state is no use to another."""
    samples = "" if calibration is None else calibration_digest(calibration)
    return digest(graph_digest(given), pipeline, seed, samples, fit_samples or 0)


@dataclass(frozen=True)
class Checkpoint:
    """Keeps the state of the run ``key`` in ``folder``. ``given``: facts of the plan that its pipeline starts with."""

    folder: Path
    key: str
    given: frozenset[str] = frozenset()

    def save(self, done: int, graph: Graph, context: Context, records: list[Record]) -> None:
        """Write the state after ``done`` passes. Raises UsageError when the folder cannot be written to."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            plan, reference = context.plan, context.plan.reference
            names = {"graph": self._graph(graph), "reference": self._graph(reference.graph) if reference else ""}
            start = {"key": self.key, "given": sorted(self.given), "done": done}
            state = {**start, **names, "plan": plan_to_json(plan), "records": encode(records)}
            self._write(_STATE, json.dumps(state).encode())
            for path in self.folder.glob("*.onnx"):
                if path.name not in names.values() and len(path.stem) == 64:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"cannot keep the state in '{self.folder}'", why=str(error)) from error

    def restore(self, graph: Graph, context: Context) -> tuple[int, list[Record]]:
        """Bring a graph and a context to the state that is kept; return how many passes are done, and their records.

        Without one nothing changes. Raises UsageError for the state of another run, InvalidModelError for a broken one.
        """
        state = read_state(self.folder)
        if state is None:
            return 0, []
        if state["key"] != self.key:
            hint = "give another folder, or the model, passes, data and seed of that run"
            raise UsageError(f"'{self.folder}' holds the state of another run", hint=hint)
        graph.become(self._read(state["graph"]))
        context.changed()
        reference = self._read(state["reference"]) if state["reference"] else None
        if reference is not None:
            reference.sizes = graph.sizes
        context.plan = plan_from_json(state["plan"], context.view(graph), reference)
        return int(state["done"]), list(decode(state["records"]))

    def _graph(self, graph: Graph) -> str:
        name = f"{graph_digest(graph)}.onnx"
        if not (self.folder / name).is_file():
            self._write(name, graph.to_model().SerializeToString(deterministic=True))
        return name

    def _read(self, name: str) -> Graph:
        return Graph.of(onnx.load(self.folder / name))

    def _write(self, name: str, data: bytes) -> None:
        write_whole(self.folder / name, data)


def given_facts(folder: Path) -> frozenset[str]:
    """Return the facts that the pipeline starts with whose state a folder holds; none where it holds none."""
    return frozenset((read_state(folder) or {}).get("given", ()))


def read_state(folder: Path) -> dict[str, Any] | None:
    """Return what a folder says of the state it holds; None where it holds none. Raises UsageError for a broken one."""
    path = folder / _STATE
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"'{path}' cannot be read", why=str(error), hint="remove it to begin anew") from error
    return state


def plan_to_json(plan: Plan) -> Any:
    """Write a plan as JSON, but for its graphs: the reference, and what analysis finds in the graph it describes."""
    ranking = plan.ranking and {
        each: getattr(plan.ranking, each) for each in ("criterion", "groups", "droppable", "rows")
    }
    return {"ranking": encode(ranking), "plan": encode(replace(plan, reference=None, ranking=None))}


def plan_from_json(written: Any, view: View, reference: Graph | None) -> Plan:
    """Read a plan about the graph of ``view``. Raises InvalidModelError for what is no plan."""
    plan: Plan = decode(written["plan"])
    known: Mapping[str, Any] | None = decode(written["ranking"])
    ranking = None if known is None else Ranking(channels=view.channels, **known)
    return replace(plan, reference=None if reference is None else View(reference), ranking=ranking)


def reproducer(folder: Path | None, before: Graph, plan: Plan, context: Context, rest: str) -> str:
    """Write what a failing pass was given, a few samples, the rest of the pipeline, and how to run it; say where.

    Where that cannot be written, say why.
    """
    try:
        place = Path(tempfile.mkdtemp(prefix="optimise-onnx-", dir=folder))
        given = context.given or context.original
        (place / "before.onnx").write_bytes(before.to_model().SerializeToString(deterministic=True))
        (place / "given.onnx").write_bytes(given.to_model().SerializeToString(deterministic=True))
        (place / "pipeline.txt").write_text(rest + "\n", encoding="utf-8")
        few = _few(place, context)
        key = run_key(given, rest, context.seed, few)
        Checkpoint(place, key, plan.facts).save(0, before, replace(context, plan=plan, _view=None), [])
        (place / "versions.txt").write_text(
            "".join(f"{name} {_version(name)}\n" for name in _PACKAGES), encoding="utf-8"
        )
        (place / "command.txt").write_text(
            _command(place, rest, context.seed, few.samples if few else 0), encoding="utf-8"
        )
    except (OSError, TypeError, UsageError, ValueError) as error:
        return f"not written ({error})"
    return str(place)


def _few(place: Path, context: Context) -> Calibration | None:
    if context.calibration is None:
        return None
    few = context.calibration.head(_FEW)
    np.savez(place / "samples.npz", **next(few.batches(few.samples)))  # type: ignore[arg-type]
    return few


def _command(place: Path, rest: str, seed: int, samples: int) -> str:
    words = ["optimise-onnx", "run", str(place / "given.onnx"), "-o", str(place / "after.onnx"), "--passes", rest]
    data = ["--data", str(place / "samples.npz"), "--samples", str(samples)] if samples else []
    words += ["--resume", str(place), "--seed", str(seed), *data]
    return shlex.join(words) + "\n"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
