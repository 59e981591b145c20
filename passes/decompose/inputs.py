"""What the layers of a graph read, as far as statistics tell: measured before a removal, or now, or nothing at all."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array, Graph
from ...ir.shapes import Shape, concrete, input_sizes
from ..analysis.channels.readers import row_atoms
from ..analysis.layers.forms import regularised
from ..analysis.layers.linear import Linear, linear_layers
from ..analysis.statistics.input_moments import InputMoments, input_moments
from ..analysis.view import View
from ..base import Context


@dataclass(frozen=True)
class Inputs:
    """``layers`` by node name, ``shapes`` for one sample; ``known`` moments, and which ``rows`` of them are left."""

    layers: Mapping[str, Linear]
    shapes: Mapping[str, Shape]
    known: Mapping[str, InputMoments]
    rows: Mapping[str, Array]

    @staticmethod
    def of(graph: Graph, context: Context) -> "Inputs":
        """Take the moments that a removal was decided by, restricted to what is left, or measure them.

        Once forms are written, layers read other things than the moments are of.
        """
        shapes = concrete(graph, input_sizes(graph, 1))
        layers = linear_layers(graph, shapes)
        if context.calibration is None:
            return Inputs(layers, shapes, {}, {})
        plan = context.plan
        if plan.reference is not None and not plan.formed:
            keep = plan.class_mask(graph)
            if keep is not None:
                return Inputs(layers, shapes, context.moments(plan.reference, plan.rows), _rows(plan.reference, keep))
        chosen = list(layers.values())
        given = graph, chosen, shapes, context.fitting(), context.runner, context.rng()
        found = input_moments(*given, workers=context.workers)
        return Inputs(layers, shapes, found, {})

    def moments(self, layer: Linear) -> tuple[Array, Array]:
        """Return covariance (g, d, d), with its ridge, and mean (g, d) of what a layer reads; else identity and 0."""
        form = layer.groups, layer.fan_in
        known = self.known.get(layer.node)
        if known is None or known.cov.ndim == 2:
            return np.broadcast_to(np.eye(form[1]), (*form, form[1])), np.zeros(form)
        cov, mean = regularised(known.cov, known.ridge), known.mean
        rows = self.rows.get(layer.node)
        if rows is None:
            return cov, mean
        groups = rows.any(axis=1)
        if rows[groups].all():
            return cov[groups], mean[groups]
        left = list(zip(cov[groups], mean[groups], rows[groups], strict=True))
        return np.stack([c[np.ix_(r, r)] for c, _, r in left]), np.stack([m[r] for _, m, r in left])


def _rows(reference: View, keep: Array) -> dict[str, Array]:
    """Say of every layer's inputs in the reference, (g, d), which are left."""
    found = {}
    for end in reference.channels.context.contractions:
        layer = reference.layers.get(end.node)
        if layer is not None:
            found[end.node] = np.repeat(keep[row_atoms(end.labels, layer)], layer.taps).reshape(layer.groups, -1)
    return found
