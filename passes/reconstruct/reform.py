"""Layers that were written in another form, solved again in it: best fit first, then the form nearest to that fit."""

from dataclasses import replace

import numpy as np

from ...ir.graph import Array, Graph
from ..analysis.layers.forms import Written, regularised
from .paired import PairedMoments


def refitted(written: Written, moments: PairedMoments, ridge: float) -> tuple[Written, Array]:
    """Return the form with new numbers and the bias (g * m,) that goes with them.

    ``moments`` pair what the whole layer reads with what it should give. The best layer ``W`` without a form is found
    first; the form then minimises ``tr (W - F)^T (Sxx + lam I) (W - F)``, the same ridge for both.
    """
    matrix, _ = moments.solve(written.fitted.matrix, ridge)
    x, y, cov = moments.inputs()
    chosen = moments.ridge if len(cov) == 1 else ridge  # many small groups choose none of their own
    cov = regularised(cov, np.full(len(cov), chosen))
    fitted = written.fitted.refit(cov, cov @ matrix)
    bias = y - np.einsum("gdm,gd->gm", fitted.matrix, x)
    return replace(written, fitted=fitted), bias.ravel()


def write_again(graph: Graph, written: Written) -> None:
    """Store a form's numbers in its nodes."""
    for name, values in zip(written.nodes, written.fitted.weights(), strict=True):
        tensor = graph.node(name).inputs[1]
        graph.set_array(tensor, values.astype(tensor.dtype))
