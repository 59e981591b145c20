"""``offer-forms``: list for every layer the other forms it may take, for ``allocate`` to choose from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from ...ir.graph import Array, Graph
from ...ir.shapes import Shape
from ..analysis.channels.protected import held_tensors
from ..analysis.layers.forms import Family, Offer, regularised
from ..analysis.layers.linear import Linear, linear_layers, spatial_sizes, stored_weight
from ..analysis.layers.writing import writable
from ..analysis.statistics.input_moments import LARGEST, InputMoments
from ..base import Context, Outcome
from ..order import ALL as FACTS
from .families import ALL, chosen


@dataclass(frozen=True)
class OfferForms:
    """Offer the families of ``forms`` to every layer with a weight of its own whose inputs ``select-channels`` has
    measured, but for those that ``keep_nodes`` and ``keep_types`` mean, as there.
    """

    forms: tuple[str, ...] = (ALL,)
    keep_nodes: str = ""
    keep_types: str = ""
    name: ClassVar[str] = "offer-forms"
    needs: ClassVar[frozenset[str]] = frozenset({"ranking"})
    provides: ClassVar[frozenset[str]] = frozenset({"offers"})
    preserves: ClassVar[frozenset[str]] = FACTS

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Leave offers in the plan: none without calibration data. Raises UsageError for an unknown family."""
        families, ranking = chosen(self.forms), context.plan.ranking
        assert ranking is not None  # the manager has checked what the pass needs
        if context.calibration is None:
            nothing = replace(context.plan, offers=())
            return Outcome(False, ("no calibration data: every layer keeps its form",), plan=nothing)
        moments = context.moments(context.view(graph), ranking.rows)
        shapes = ranking.channels.context.shapes
        held = held_tensors(graph, self.keep_nodes, self.keep_types, context.given)
        layers = [layer for layer in decomposable(graph, shapes) if layer.output not in held]
        able = [tuple(family for family in families if family.forms(layer)) for layer in layers]
        make = partial(_estimates, graph, context, layers, able, moments)
        depends = [list(self.forms), [layer.node for layer in layers], list(moments.key)]
        arrays = context.remember("form-estimates", graph, depends, make, families)
        offers = [
            Offer(layer, spatial_sizes(layer, shapes), kinds, np.asarray(arrays[layer.node]), itemsize(graph, layer))
            for layer, kinds in zip(layers, able, strict=True)
            if kinds and layer.node in arrays
        ]
        figures, plan = {"layers_offered": len(offers)}, replace(context.plan, offers=tuple(offers))
        return Outcome(False, (f"{len(offers)} layers may take another form",), figures, plan)


def decomposable(graph: Graph, shapes: Mapping[str, Shape]) -> list[Linear]:
    """Return the layers with floats of their own as weights, known sizes, and a covariance that fits in memory."""
    found = []
    for layer in linear_layers(graph, shapes).values():
        node = graph.node(layer.node)
        stored = node.inputs[layer.weight_index].is_constant and writable(graph, node, layer)
        known = all(isinstance(size, int) for size in spatial_sizes(layer, shapes))
        if stored and known and layer.fan_in <= LARGEST and not layer.columns:
            found.append(layer)
    return found


def itemsize(graph: Graph, layer: Linear) -> int:
    """Return the bytes of one weight."""
    return stored_weight(graph, graph.node(layer.node), layer).itemsize


def _estimates(
    graph: Graph,
    context: Context,
    layers: Sequence[Linear],
    able: Sequence[Sequence[Family]],
    moments: Mapping[str, InputMoments],
) -> dict[str, Array]:
    found = {}
    for place, (layer, families) in enumerate(zip(layers, able, strict=True)):
        context.progress("estimating forms", place / len(layers))
        if families and layer.node in moments:
            known = moments[layer.node]
            cov = regularised(known.cov, known.ridge)
            cross = cov @ layer.matrix(stored_weight(graph, graph.node(layer.node), layer))
            found[layer.node] = np.concatenate([family.estimates(layer, cov, cross) for family in families])
    return found
