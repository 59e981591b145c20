"""The least cost at which a model still loses little: bisection over targets, chosen on one half of the samples that no
pass has seen, and reported on the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count, islice
from math import ceil, log, log1p

from ..ir.errors import TargetNotMetError, UsageError
from ..ir.feeds import Feeds
from ..ir.timing import Interval
from ..passes.analysis.costs.target import Target
from .agreement import DOUBT
from .aiming import Begun, Carried
from .evaluation import Samples
from .measure import Fidelity, compared, reach
from .outcome import missed
from .report import Drop
from .result import CompressResult
from .settings import Settings, allowed

_NEAR = 0.04  # of the cost: as near to the limit as this is not sought any nearer
_LOWER = (0.95, 0.9, 0.85, 0.8)  # of the least cost found, where what is beyond cannot be told
_SURE = 1e-9

_Tried = tuple[Target, Carried, Interval]


def least_cost(begun: Begun, settings: Settings) -> CompressResult:
    """Return the model of least cost whose loss is within ``max_drop``, all its interval, on samples that choose.

    Both halves' losses are in the report. Raises TargetNotMetError where no smaller model is within, where too few
    samples are there to tell, or where the samples that report say that the loss is beyond; and what passes raise.
    """
    limit = allowed(settings.max_drop or "")
    if not (begun.samples.judges and begun.samples.held_out):
        raise UsageError("max_drop needs samples that no pass has seen", hint="give more data")
    choosing, reporting = _half(begun.samples, 0), _half(begun.samples, 1)
    search = _Search(begun, settings.target, limit, choosing)
    target, carried, chosen = search.best()
    result = replace(begun, samples=reporting).measured(target, carried)
    name, seen = lost(result.report.fidelity)
    drop = Drop(name, limit, chosen, choosing.origin, seen, reporting.origin)
    told = replace(result.report, drop=drop, notes=(*result.report.notes, drop.said))
    result = replace(result, report=told, missed=missed(settings, told))  # the search's own target is no promise
    if seen.beyond(limit):
        why = f"samples that did not choose say {drop.on_others}"
        result = replace(result, missed=TargetNotMetError(f"the loss is not within {limit:.3%}", why=why))
    return result


def lost(fidelity: Fidelity) -> tuple[str, Interval]:
    """Return what a loss is measured by, and the share lost with its 95 % interval.

    By a metric it is what that fell (:attr:`.measure.Fidelity.fell`), without it the share of samples whose largest
    entry changes, of the output where most do, and the interval of Clopper and Pearson. Raises UsageError where outputs
    are no classes.
    """
    for name in fidelity.metric:
        return name, fidelity.fell
    known = {f"agreement of '{name}'": one for name, one in fidelity.told.items() if one.same is not None}
    if not known:
        raise UsageError("max_drop needs outputs of classes, or a metric", hint="give --labels or --metric")
    name, worst = min(known.items(), key=lambda pair: pair[1].same or 0.0)
    assert worst.same is not None and worst.interval is not None
    low, high = worst.interval
    return name, Interval(1 - high, 1 - worst.same, 1 - low)


@dataclass
class _Search:
    """Targets as factors of the one given: ``high`` is within the limit, ``low`` is not."""

    begun: Begun
    target: Target
    limit: float
    choosing: Samples

    def best(self) -> _Tried:
        """Halve the range until both ends cost about the same, then look somewhat below; a target out of reach counts
        as beyond the limit.
        """
        self._check_enough()
        low, high = 0.0, 1.0
        found = None if self._whole else self._tried(high)
        if not self._whole and (found is None or not found[2].within(self.limit)):
            raise self._unmet(found, f"{self.target} costs more than max_drop allows")
        nearest, sure = found, False
        while high - low > _NEAR * high:
            middle = (low + high) / 2
            tried = self._tried(middle)
            if tried is not None and tried[2].within(self.limit):
                high, found = middle, tried
            else:
                low, nearest, sure = middle, tried or nearest, self._surely_beyond(tried)
        if found is None:
            raise self._unmet(nearest, "no smaller model loses as little as max_drop asks for")
        return found if sure else self._below(high, found)

    def _below(self, high: float, found: _Tried) -> _Tried:
        """Go on below ``high`` as long as samples do not tell that too much is lost: noise may have ended a search."""
        parts = iter(_LOWER)
        while (part := next(parts, None)) is not None:
            tried = self._tried(part * high)
            if self._surely_beyond(tried):
                break
            if tried is not None and tried[2].within(self.limit):
                high, found, parts = part * high, tried, iter(_LOWER)
        return found

    def _surely_beyond(self, tried: _Tried | None) -> bool:
        return tried is None or tried[2].beyond(self.limit)

    @property
    def _whole(self) -> bool:
        """Whether the target is all of the original, which loses nothing."""
        return self.target.relative and self.target.amount >= 1 - _SURE

    def _tried(self, factor: float) -> _Tried | None:
        target = replace(self.target, amount=factor * self.target.amount)
        ((_, carried),) = self.begun.each([target])
        return None if isinstance(carried, TargetNotMetError) else (target, carried, self._loss(carried))

    def _loss(self, carried: Carried) -> Interval:
        begun = self.begun
        graph = carried.executed.graph
        return lost(compared(begun.answers, graph, self.choosing, begun.metric))[1]

    def _check_enough(self) -> None:
        """Raise TargetNotMetError, before any work, where even a model that loses nothing could not be told to."""
        begun = self.begun
        same = lost(compared(begun.answers, begun.graph, self.choosing, begun.metric))[1]
        if same.within(self.limit):
            return
        why = f"on {self.choosing.origin} even no difference at all may be a loss of {same.high:.2%}"
        hint = f"{self._needed():,} that no pass sees are enough; --samples N leaves all but the first N"
        raise TargetNotMetError("too few samples to tell what is lost", why=why, hint=hint)

    def _needed(self) -> int:
        """Return of how many samples one half shows, where none differs, that no more than the limit is lost."""
        if self.begun.metric is None:
            return 2 * ceil(log(DOUBT / 2) / log1p(-self.limit))
        batch = self.choosing.count(next(iter(self.choosing.batches())))
        return 2 * batch * next(n for n in count(2) if reach(n, n * batch) <= self.limit)

    def _unmet(self, tried: _Tried | None, said: str) -> TargetNotMetError:
        if tried is None:
            return TargetNotMetError(said, why="no target could be reached", hint="raise --max-drop")
        target, _, loss = tried
        why = f"at {target} it is {loss.middle:.2%} and may be {loss.low:.2%} to {loss.high:.2%}"
        return TargetNotMetError(said, why=why, hint="raise --max-drop, or give more data")


def _half(samples: Samples, which: int) -> Samples:
    """Take every second batch. Raises UsageError where there is none."""

    def batches() -> islice[Feeds]:
        return islice(iter(samples.batches()), which, None, 2)

    known = sum(map(samples.count, batches()))
    if not known:
        raise UsageError("max_drop needs samples to choose by and others to report", hint="give more data")
    return replace(samples, batches=batches, origin=f"{known} of {samples.origin}")
