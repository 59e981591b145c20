"""A model on its way to hardware: read, lowered, typed, compared with the one that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...backends.hls.budget import spread, within
from ...backends.hls.calibrate import calibrated
from ...backends.hls.cost.compare import Comparison, compare
from ...backends.hls.lowering import check_batch, lower, quantises
from ...backends.hls.network import Network
from ...backends.hls.precision import Precision
from ...backends.ort import OrtRunner
from ...ir.graph import Graph
from ...passes.base import Context
from ...passes.manager import PassManager
from ...passes.pipelines import EXACT, FIRST
from .. import api
from ..compression import Progress
from .layers import bits_by_layer
from .samples import Samples, first
from .settings import Settings

_SEARCHED = 32


@dataclass(frozen=True)
class Lowered:
    """``graph`` as it was read, and the ``network`` behind the exact passes, in floating point.

    Where values are quantised only constants were folded: other passes write weights on scales of their own.
    """

    name: str
    graph: Graph
    network: Network


@dataclass(frozen=True)
class Typed:
    """``network``: with its weights on the grids of ``precision``."""

    network: Network
    precision: Precision


def lowered(source: api.Source, graph: Graph, runner: OrtRunner) -> Lowered:
    """Lower the graph that was read from ``source``. Raises InvalidModelError, LoweringError."""
    check_batch(graph, runner)
    exact = graph.copy()
    context = Context(runner, graph)
    PassManager.parse(FIRST).run(exact, context)
    context.original = exact.copy()
    if not any(quantises(node) for node in exact.nodes):
        PassManager.parse(EXACT).run(exact, context)
    return Lowered(Path(source).name if isinstance(source, str | Path) else "the model", graph, lower(exact))


def typed(model: Lowered, samples: Samples, settings: Settings, progress: Progress) -> Typed:
    """Choose types: of given widths, or the narrowest within the error budget, which raises TargetNotMetError."""
    progress(f"ranges of {model.name}", 0.1)
    _, given = first(model.graph, model.network, samples.used, samples.used.samples)
    fixed = bits_by_layer(model.network, settings.layers)
    if settings.bits is not None:
        return Typed(*calibrated(model.network, given, *spread(model.network, settings.bits, fixed)))

    def told(said: str) -> None:
        progress(f"{model.name}: {said}", 0.2)

    return Typed(*within(model.network, given, settings.max_error, _SEARCHED, told, fixed))


def compared(before: Typed, after: Typed, settings: Settings) -> Comparison:
    """Compare analytic costs at the operating point of ``before``. Raises TargetNotMetError where there is none."""
    point = settings.point(before.network)
    precisions, style = (before.precision, after.precision), settings.style(after.network)
    return compare(before.network, after.network, point, precisions, style)
