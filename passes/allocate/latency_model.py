"""What a device says about a network: how long it takes at other widths, and with layers in other forms."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...ir.cost import Cost, cost
from ...ir.graph import Array, Graph
from ...ir.runner import Runner
from ...ir.shapes import concrete, input_sizes
from ...ir.timing import Device
from ..analysis.channels.ranking import Ranking
from ..analysis.costs.sums import MACS
from ..analysis.layers.forms import Form, Offer
from ..analysis.layers.linear import linear_layers, stored_weight
from .problem import Ints, Problem, without
from .seconds import Seconds
from .stages import residual_stream, stages
from .staircase import Stairs, stairs, to_measure

_PARTS = (1, 1, 1, 2, 1, 1, 2, 4)  # of the tread that the random widths for a forecast are multiples of
_LEAST = 0.25
_POINTS = (0.3, 0.5, 0.7)  # shares of a layer's MACs at which its forms are timed
_SMALLEST = 0.05
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class LatencyModel:
    """Asks ``device`` about a ranked graph. ``tread``: the multiple of channels that widths shall have."""

    graph: Graph
    ranking: Ranking
    runner: Runner
    device: Device
    tread: int
    progress: Progress

    @cached_property
    def meter(self) -> Seconds:
        """Seconds, by layer where the device tells them; layers that it does not tell share what is left by MACs."""
        self.progress("timing operators", 0.0)
        timer = self.device.forecast(self.graph, self._profiles())
        whole, own = timer.times([self.graph])[0], self.device.layers(self.graph)
        scale = min(1.0, whole / max(sum(own.values()), 1e-12))
        rates = {name: scale * own[name] / one.macs for name, one in self._costs.items() if name in own and one.macs}
        rest = sum(one.macs for name, one in self._costs.items() if name not in rates)
        return Seconds(timer, (whole - scale * sum(own.values())) / rest if rest else 0.0, rates)

    @cached_property
    def _costs(self) -> Mapping[str, Cost]:
        return cost(self.graph)

    def _profiles(self) -> list[Graph]:
        """Return the graph at random widths."""
        rng, found = np.random.default_rng(0), []
        for part in _PARTS:
            multiple, lost = max(1, self.tread // part), {}
            for group in self.ranking.channels.groups:
                drawn = -(-rng.uniform(_LEAST, 1.0) * group.width // multiple) * multiple
                if group.name in self.ranking.groups and drawn < group.width:
                    lost[group.name] = group.width - int(drawn)
            found.append(without(self.graph, self.ranking, self.runner, lost))
        return found

    def stairs(self, task: Problem) -> tuple[Stairs, ...]:
        """Return how time depends on each group's width, all others as they are. Groups of one shape share a graph."""
        whole, everything = self.meter.of(self.graph), task.widths.astype(np.float64)
        shares = np.ones(task.cost.variables - len(everything))
        known: dict[object, Stairs] = {}
        found = []
        for number, (group, key) in enumerate(zip(task.groups, self._shapes(), strict=True)):
            self.progress("timing widths", number / len(task.groups))
            gone = everything.copy()
            gone[number] = 0
            exposed = task.cost(np.append(everything, shares)) - task.cost(np.append(gone, shares))
            rounds = max(1, self.tread // np.gcd(self.tread, len(group.cells)))
            least = int(task.minimum[number])
            again = (*key, least)
            if again not in known:
                asked = to_measure(group.width, rounds, least)
                graphs = [task.pruned(_with(task.widths, number, int(width))) for width in asked]
                saved = whole - np.array(self.meter.timer.times(graphs))
                known[again] = stairs(group.width, rounds, asked, saved, exposed)
            found.append(known[again])
        return tuple(found)

    def _shapes(self) -> list[tuple[object, ...]]:
        """Return for each group what its time depends on: groups of one stage whose layers cost the same are alike."""
        channels = self.ranking.channels
        products = MACS.products(self.graph, channels)
        numbers = stages(channels, residual_stream(self.graph, channels))
        everything = np.array([group.width for group in channels.groups], np.float64)
        counts = [p.factor * p.left.at(everything) * p.right.at(everything) for p in products]
        found: list[tuple[object, ...]] = []
        for number in range(len(channels.groups)):
            sides = [(float(p.left.per_unit[number]), float(p.right.per_unit[number])) for p in products]
            touched = sorted((count, *side) for count, side in zip(counts, sides, strict=True) if any(side))
            found.append((int(numbers[number]), tuple(touched)))
        return found

    def with_forms(self, offers: Sequence[Offer]) -> Seconds:
        """Return the meter with the paces of the forms that layers are offered, timed in the whole network."""
        whole = self.meter.of(self.graph)
        known: dict[object, dict[str, tuple[Array, Array]]] = {}
        paces: dict[tuple[str, str], tuple[Array, Array]] = {}
        for place, offer in enumerate(offers):
            self.progress("timing forms", place / len(offers))
            layer, names = offer.layer, tuple(family.name for family in offer.families)
            key = layer.groups, layer.fan_in, layer.fan_out, layer.geometry, offer.sizes, names
            if key not in known:
                known[key] = self._paces(offer, whole)
            paces |= {(layer.node, kind): pace for kind, pace in known[key].items()}
        return replace(self.meter, paces=paces)

    def _paces(self, offer: Offer, whole: float) -> dict[str, tuple[Array, Array]]:
        own = self.meter.layer(offer.layer, self._costs[offer.layer.node].macs, offer.itemsize)
        by_kind: dict[str, list[tuple[float, Form]]] = {}
        count = MACS.whole(offer.layer, offer.sizes, offer.itemsize)
        for form in offer.forms(offer.layer):
            by_kind.setdefault(form.kind, []).append((form.macs(offer.layer, offer.sizes) / count, form))
        chosen = [(kind, *_nearest(forms, point)) for kind, forms in by_kind.items() for point in _POINTS]
        graphs = [rewritten(self.graph, {offer.layer.node: form}) for _, _, form in chosen]
        times = self.meter.timer.times(graphs)
        found: dict[str, dict[float, float]] = {}
        for (kind, share, _), time in zip(chosen, times, strict=True):
            left = max(1 + (time - whole) / max(own, 1e-12), _SMALLEST)
            found.setdefault(kind, {})[share] = left / share
        return {kind: _table(pace) for kind, pace in found.items()}


def rewritten(graph: Graph, forms: Mapping[str, Form]) -> Graph:
    """Return a copy in which layers have forms, by node name: the right operators and shapes, not the best weights."""
    copy = graph.copy()
    layers = linear_layers(copy, concrete(copy, input_sizes(copy, 1)))
    for name, form in forms.items():
        node, layer = copy.node(name), layers[name]
        weight = layer.matrix(stored_weight(copy, node, layer))
        eye = np.broadcast_to(np.eye(layer.fan_in), (layer.groups, layer.fan_in, layer.fan_in))
        form.fit(eye, weight).write(copy, node, layer)
    return copy


def _table(pace: Mapping[float, float]) -> tuple[Array, Array]:
    shares = sorted(pace)
    return np.array(shares), np.array([pace[share] for share in shares])


def _nearest(forms: Sequence[tuple[float, Form]], share: float) -> tuple[float, Form]:
    return min(forms, key=lambda pair: abs(pair[0] - share))


def _with(widths: Ints, number: int, width: int) -> Ints:
    found = widths.copy()
    found[number] = width
    return found
