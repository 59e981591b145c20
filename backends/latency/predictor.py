"""Seconds of a graph, from a table of measured fused units."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ...ir.graph import Graph
from .correction import corrected, features, fitted
from .execution import Execution, interleaved, key
from .kernels import Kernels
from .lowering import block_size, lowered
from .staircase import Widths, first_widths, next_widths
from .table import Curve, Table
from .units import Unit, grains, operator

_ROUNDS = 3
_TOLERANCE = 0.03
_RUNS = 5
_FOOTPRINT = 2**20
_BUDGET, _QUIET = 0.5, 0.1  # seconds and quantile of whole-network runs: other processes only ever add time
Timed = Sequence[tuple[Unit, float]]


@dataclass
class Predictor:
    """A timer that runs no kernel for its time: only kinds of unit that were never met are measured, once.

    ``network`` names whose whole-network correction is used.
    """

    target: Execution
    table: Table
    network: str
    footprint: int

    @staticmethod
    def learn(
        graph: Graph, profiles: Sequence[Graph] = (), target: Execution | None = None, *, folder: Path | None = None
    ) -> "Predictor":
        """Make or complete the table for a network, kept in ``folder`` or the user's cache.

        ``profiles`` are the network at other widths, some of them aligned and some not, so that the kinds of unit they
        bring are known; their times, and the network's own, fit the correction. What the cache holds is not measured.
        Raises InvalidModelError for a graph that onnxruntime refuses.
        """
        target = target or Execution()
        footprint = 1 << max(_weights(graph), _FOOTPRINT).bit_length()
        own = lowered(graph, target, _RUNS)
        name = key({"units": repr(sorted(f"{unit.kind} {unit.widths}" for unit, _ in own))})
        table = Table.open(target, footprint, block_size(target.provider), folder)
        predictor = Predictor(target, table, name, footprint)
        if name not in table.corrections:
            predictor._learn([graph, *profiles], [own, *(lowered(other, target, _RUNS) for other in profiles)])
            table.save()
        return predictor

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        """Predict the seconds of one run of each. onnxruntime optimises it and runs it once, for the shapes of units.

        Raises InvalidModelError when onnxruntime refuses a model.
        """
        units = [lowered(graph, self.target) for graph in graphs]
        self._meet(units)
        factors = self.table.corrections.get(self.network, {})
        return [corrected(self._features(each), factors) for each in units]

    def unit_seconds(self, unit: Unit) -> float | None:
        """Return one unit's uncorrected time, None when its kind was never met or cannot be measured alone."""
        return self.table.seconds(unit)

    def _features(self, units: Timed) -> dict[str, float]:
        times = []
        for unit, own in units:
            known = self.table.seconds(unit)
            times.append((operator(unit.kind), own if known is None else known))
        return features(times)

    def _learn(self, graphs: Sequence[Graph], lowerings: Sequence[Timed]) -> None:
        self._meet(lowerings)
        seconds = interleaved(graphs, self.target, _BUDGET, _QUIET)
        self.table.corrections[self.network] = fitted([self._features(units) for units in lowerings], seconds)

    def _meet(self, lowerings: Sequence[Timed]) -> None:
        """Measure every kind that is new, over the widths up to the largest seen."""
        new = [(unit, time) for units in lowerings for unit, time in units if not self.table.covers(unit)]
        if not new:
            return
        highs = _highest(unit for unit, _ in new)
        kernels = Kernels(self.target, self.footprint)
        self._measure(kernels, {kind: Curve(high) for kind, high in highs.items()})
        for unit, time in new:
            if unit.kind not in self.table.curves:
                line = self.table.moved.setdefault(unit.kind, {})
                elements = prod(unit.widths)
                line[elements] = min(time, line.get(elements, time))
        self.table.save()

    def _measure(self, kernels: Kernels, curves: dict[str, Curve]) -> None:
        """Fill the curves: coarse grids first, then bisection where they are too coarse. Kinds refused are left out."""
        wanted = {kind: first_widths(curve.high, self._grains(kind)) for kind, curve in curves.items()}
        for _ in range(_ROUNDS):
            found = kernels.measure([Unit(kind, widths) for kind, points in wanted.items() for widths in points])
            for unit, time in found.items():
                curves[unit.kind].samples[unit.widths] = time
            curves = {k: c for k, c in curves.items() if first_widths(c.high, self._grains(k)) <= c.samples.keys()}
            self.table.curves |= curves
            wanted = {k: next_widths(c.samples, c.high, self._grains(k), _TOLERANCE) for k, c in curves.items()}

    def _grains(self, kind: str) -> Widths:
        return grains(kind, self.table.block)


def _highest(units: Iterable[Unit]) -> dict[str, Widths]:
    """Return the largest width on each axis of every kind."""
    found: dict[str, Widths] = {}
    for unit in units:
        known = found.get(unit.kind, unit.widths)
        found[unit.kind] = tuple(max(pair) for pair in zip(known, unit.widths, strict=True))
    return found


def _weights(graph: Graph) -> int:
    return sum(tensor.array.nbytes for tensor in graph.constants())
