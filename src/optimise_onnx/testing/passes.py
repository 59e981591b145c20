"""Whether a pass keeps what passes promise."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import onnx

from ..backends.ort import OrtRunner
from ..frontends.load import load
from ..ir.errors import OptimiseOnnxError
from ..ir.feeds import Calibration, random_feeds
from ..ir.graph import Graph
from ..ir.verify import verify
from ..passes.base import Context, Pass
from ..passes.manager import PassManager
from ..passes.order import declared
from ..passes.syntax import parse, text
from .running import TOLERANCE, distance, outputs_of, require, small_network

_SAMPLES = 16


def check_pass(
    step: Pass,
    model: onnx.ModelProto | None = None,
    *,
    before: str = "",
    data: Calibration | None = None,
    exact: bool | None = None,
    changes: bool = True,
) -> None:
    """Raise AssertionError unless a pass is one that a pipeline can rely on.

    It is a frozen dataclass that prints and parses back; it runs on ``model`` (a small network of ours), after the
    passes of the pipeline ``before``, on ``data`` (random samples); it says truly whether the graph changed, and does
    so where ``changes``; the graph it leaves is well formed, has the same interface, and runs in onnxruntime; a second
    run gives the same bytes. Outputs are the same, to 1e-5, where ``exact``: by default, where it preserves a
    ``reference`` that it neither needs nor provides, which is how passes say so.
    """
    _check_form(step)
    graph = load(small_network() if model is None else model)[0]
    if data is None:
        data = Calibration.from_arrays(random_feeds(graph, np.random.default_rng(1), _SAMPLES))
    ready, found = _run(step, graph, before, data)
    _, again = _run(step, graph, before, data)
    require(_bytes(found) == _bytes(again), f"two runs of {text(step)} on the same graph give different graphs")
    if changes:
        require(_bytes(ready) != _bytes(found), f"{text(step)} changed nothing: give a model that it changes")
    feeds = random_feeds(graph, np.random.default_rng(2), 3)
    wanted, outputs = outputs_of(ready, feeds), outputs_of(found, feeds)
    require(all(np.isfinite(array).all() for array in outputs), f"{text(step)} leaves a graph that gives NaN or Inf")
    if says_exact(step) if exact is None else exact:
        gap = distance(wanted, outputs)
        require(gap <= TOLERANCE, f"{text(step)} says that it is exact, and outputs differ by {gap:.1e}")


def says_exact(step: Pass) -> bool:
    """Whether a pass declares that it changes no value of a tensor that keeps its name."""
    touches = declared(step, "needs") | declared(step, "provides")
    return "reference" in declared(step, "preserves") - touches


def _check_form(step: Any) -> None:
    kind = type(step)
    require(is_dataclass(step) and kind.__dataclass_params__.frozen, f"{kind.__name__} is no frozen dataclass")
    require(isinstance(getattr(kind, "name", None), str), f"{kind.__name__} has no name")
    require(
        "name" not in {f.name for f in fields(step)}, f"the name of {kind.__name__} is an option: make it a ClassVar"
    )
    try:
        parsed = parse(text(step), {step.name: kind})
    except OptimiseOnnxError as error:
        raise AssertionError(f"{text(step)} does not parse: {error}") from error
    require(parsed == (step,), f"{text(step)} parses as another pass")


def _run(step: Pass, graph: Graph, before: str, data: Calibration) -> tuple[Graph, Graph]:
    """Return the graph before and after the pass. Raises AssertionError when the pass fails, or breaks the graph."""
    context, ready = Context(OrtRunner(1), graph.copy(), data), graph.copy()
    if before:
        PassManager.parse(before).run(ready, context)
    found = ready.copy()
    context.changed()
    try:
        PassManager((step,), fingerprint=True).run(found, context)
        verify(found, graph)
        OrtRunner(1).session(found)
    except OptimiseOnnxError as error:
        raise AssertionError(f"{text(step)} fails: {error}") from error
    return ready, found


def _bytes(graph: Graph) -> bytes:
    return bytes(graph.to_model().SerializeToString(deterministic=True))
