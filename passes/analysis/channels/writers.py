"""The layers that write a group's channels: how strong its units are as far as weights alone tell."""

from collections.abc import Mapping

import numpy as np

from ....ir.graph import Array, Graph
from ..layers.linear import Linear, stored_matrix
from .groups import Channels


def strengths(graph: Graph, channels: Channels, layers: Mapping[str, Linear], weights: dict[str, Array]) -> Array:
    """Return the mean square of every class where what is behind its layers has mean square 1 and no correlation.

    (classes,): squared norms of the weights that write it, the mean over a layer's outputs of this class, summed over
    layers; 1 where no layer writes it.
    ``weights`` keeps the layers' matrices by node name.
    """
    total = np.zeros(channels.context.registry_size())
    written = np.zeros(len(total), bool)
    for name, layer in layers.items():
        labels = channels.context.labels.get(layer.output)
        if labels is None:
            continue
        squares = (stored_matrix(graph, name, layer, weights) ** 2).sum(1).ravel()
        atoms, values = np.broadcast_arrays(np.moveaxis(labels.atoms, layer.features, -1), squares)
        entries = np.bincount(atoms.ravel(), minlength=len(total))
        total += np.bincount(atoms.ravel(), values.ravel(), len(total)) / np.maximum(entries, 1)
        written |= entries > 0
    return np.where(written, total, 1.0)
