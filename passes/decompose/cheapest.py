"""One form for every layer, without an allocator: by share of its MACs, or by the energy that its output keeps."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Graph
from ..analysis.costs.sums import MACS
from ..analysis.layers.forms import Form, Offer
from ..analysis.layers.linear import spatial_sizes, stored_weight
from .families import chosen
from .inputs import Inputs
from .offer import decomposable


def cheapest(graph: Graph, inputs: Inputs, families: Sequence[str], *, share: float, energy: float) -> dict[str, Form]:
    """Return by node name the form that loses least with ``share`` of the MACs, or the cheapest that keeps ``energy``.

    Layers with no such form are left out. Raises UsageError for an unknown family.
    """
    kinds, found = chosen(families), dict[str, Form]()
    for layer in decomposable(graph, inputs.shapes):
        able = tuple(family for family in kinds if family.forms(layer))
        if not able:
            continue
        cov, _ = inputs.moments(layer)
        cross = cov @ layer.matrix(stored_weight(graph, graph.node(layer.node), layer))
        errors = np.concatenate([family.estimates(layer, cov, cross) for family in able])
        menu = Offer(layer, spatial_sizes(layer, inputs.shapes), able, errors).menu(MACS, errors)
        fits = np.flatnonzero(menu.shares[:-1] <= share if share else menu.errors[:-1] <= 1 - energy)
        if fits.size:
            found[layer.node] = menu.forms[int(fits[-1] if share else fits[0])]
    return found
