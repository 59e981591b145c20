"""Several targets of one quantity from one set of statistics and one table of errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..backends.ort import OrtRunner
from ..frontends.calibration import Data
from ..ir.errors import TargetNotMetError, UsageError
from ..passes.analysis.costs.target import Target
from ..passes.base import silent
from .aiming import Begun, Carried, begin
from .api import Source, gathered
from .blame import blamed
from .compression import Progress
from .front import Front, Point
from .measure import Metric
from .recipe_file import merged
from .settings import Settings, documented
from .terminal import Terminal
from .working import working

AUTO = "auto:"
MACS = "macs"
_MOST = 100


def sweep(
    source: Source,
    *,
    targets: str | Sequence[str | Target] | None = None,
    kind: str | None = None,
    data: Data | None = None,
    samples: int | None = None,
    labels: str | None = None,
    metric: str | Metric | None = None,
    config: str | Path | None = None,
    example_inputs: Any = None,
    progress: Progress | None = None,
    **options: Any,
) -> Front:
    """Compress a model to each of several targets, and return the front: each point has its graph and its report.

    ``targets``: ``"0.9x,0.5x"``, of the quantity ``kind`` (macs), or ``"auto:12"``, or a list of targets, all of one
    quantity. ``config``: a recipe file, whose target only says which quantity that is.
    Each model is the one that :func:`.api.compress` gives for its target. A target that is missed is a point that says
    why. The other arguments and options are those of :func:`.api.compress`. Raises what that raises, but for
    TargetNotMetError.
    """
    call = {"targets": targets, "kind": kind, "data": data, "samples": samples, "labels": labels, "metric": metric}
    asked = merged(config, call, options, sweep=True)
    aims = parsed(asked.pop("targets", ()), asked.pop("kind", MACS))
    data, samples, labels, metric = (asked.pop(name, None) for name in ("data", "samples", "labels", "metric"))
    settings = Settings.parse(aims[0], **asked)
    with Terminal().followed(progress) as told:
        points = dict(swept(source, aims, settings, data, samples, labels, metric, told, example_inputs))
    return Front(aims[0].quantity, tuple(points[number] for number in range(len(aims))))


sweep.__doc__ = f"{sweep.__doc__}\n    Options, as of the command:\n\n{documented(Settings)}\n"


def swept(
    source: Source,
    targets: Sequence[Target],
    settings: Settings,
    data: Data | None = None,
    samples: int | None = None,
    labels: str | None = None,
    metric: str | Metric | None = None,
    progress: Progress = silent,
    example_inputs: Any = None,
) -> Iterator[tuple[int, Point]]:
    """Yield the number of each of several targets and its point, as soon as it is carried out, in any order."""
    if settings.max_drop is not None:
        raise UsageError("max_drop looks for one target, a sweep for several", hint="give it to compress")
    given = gathered(source, settings, data, samples, labels, metric, example_inputs)
    with working(settings) as workers, blamed(given.graph, OrtRunner()):
        begun = begin(given.graph, settings, given.used, given.measured, given.metric, progress, workers)
        for number, found in begun.each(targets):
            yield number, _point(begun, targets[number], found)


def parsed(targets: str | Sequence[str | Target], kind: str = MACS) -> list[Target]:
    """Read targets, each once. ``auto:N``: N shares of the original, evenly spaced between all and none.

    Raises UsageError for none, and for several quantities.
    """
    texts = _texts(targets) if isinstance(targets, str) else targets
    found = [each if isinstance(each, Target) else _target(each, kind) for each in texts]
    if not found:
        raise UsageError("no targets are given", hint="write 0.9x,0.7x,0.5x or auto:12")
    if several := {target.quantity.name for target in found} - {found[0].quantity.name}:
        other = f"{found[0].quantity.name} and {several.pop()}"
        raise UsageError(f"the targets are of different quantities: {other}", hint="sweep one, then the other")
    return list(dict.fromkeys(found))


def _texts(targets: str) -> list[str]:
    """Split targets, or space them."""
    if not targets.startswith(AUTO):
        return [text for text in map(str.strip, targets.split(",")) if text]
    count = targets.removeprefix(AUTO)
    if not (count.isdecimal() and 1 <= int(count) <= _MOST):
        raise UsageError(f"cannot read the targets '{targets}'", hint=f"write {AUTO}12, 1 to {_MOST} of them")
    parts = int(count) + 1
    return [f"{place / parts:.2f}x" for place in range(int(count), 0, -1)]


def _target(text: str, kind: str) -> Target:
    return Target.parse(text if "=" in text else f"{kind}={text}")


def _point(begun: Begun, target: Target, found: Carried | TargetNotMetError) -> Point:
    """Measure what came of a target; a miss is a point that says so, with a model only where a partial one may be."""
    if isinstance(found, TargetNotMetError):
        return Point(target, why=str(found))
    result = begun.measured(target, found)
    if result.missed is not None and not begun.settings.allow_partial:
        return Point(target, why=str(result.missed), kept=found.kept)
    return Point(target, result.report, result.graph, str(result.missed or ""), kept=found.kept)
