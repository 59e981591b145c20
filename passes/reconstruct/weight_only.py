"""Repair without data: a removed channel is written as a combination of kept ones, guessed from its producers' weights,
and folded into every reader. Interpolation as in CHaPR (arXiv 1908.03266); the guess from weights alone is ours.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array, Graph
from ...ir.mapped import let_go, spilled
from ..analysis.channels.groups import Channels
from ..analysis.channels.readers import row_atoms
from ..analysis.channels.surgery import Surgery, sliced_value
from ..analysis.layers.linear import Linear, stored_at, stored_weight
from ..analysis.layers.writing import holds_floats, read_once, write_weight
from .kernel import interpolation, linear_kernel, relu_kernel

_RECTIFIERS = ("Celu", "Clip", "Elu", "Gelu", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Relu", "Selu", "Swish")
_WRITTEN_OUT = ("Erf", "Sigmoid")  # Gelu and SiLU as exporters spell them


@dataclass(frozen=True)
class _Mixing:
    """Channels of one cell that go, as a combination of those that stay: ``share`` (gone, kept).

    ``classes`` ascend, ``stays`` says which are kept.
    """

    classes: Array
    stays: Array
    share: Array


def repair(graph: Graph, dense: Graph, channels: Channels, keep: Array, ridge: float, here: Container[str]) -> int:
    """Rewrite the readers of every shortened group in ``graph``, of the nodes that stand ``here`` as they did in
    ``dense``; return how many layers changed.
    """
    context = channels.context
    layers = channels.layers
    mixings = _mixings(dense, channels, layers, keep, ridge)
    surgery = Surgery(dense, context, keep)
    nodes, tensors = {node.name: node for node in dense.nodes}, graph.tensors()
    changed = 0
    for end in context.contractions:
        layer = layers.get(end.node)
        if layer is None or layer.groups > 1 or end.node not in here:
            continue
        weight = nodes[end.node].inputs[layer.weight_index]
        source, stored = stored_at(weight), stored_weight(dense, nodes[end.node], layer)
        if source.name not in tensors or not (read_once(weight) and holds_floats(weight)):
            continue
        atoms, matrix = row_atoms(end.labels, layer), np.ascontiguousarray(layer.matrix(stored)[0])
        features = matrix.reshape(len(atoms), layer.taps, -1)
        if sum(_fold(features, atoms, mixing) for mixing in mixings):
            full = layer.weight(matrix[None], stored)
            write_weight(graph, graph.node(end.node), layer, sliced_value(surgery, weight, full))
            changed += 1
            let_go([source.array, *(mixing.share for mixing in mixings)])
    return changed


def _mixings(
    dense: Graph, channels: Channels, layers: Mapping[str, Linear], keep: Array, ridge: float
) -> list[_Mixing]:
    """Guess every shortened cell's combination; cells whose producers are unknown are left out.

    One cell's second moments are held at a time, and of all combinations only those of small cells in memory.
    """
    cells = [np.sort(cell) for group in channels.groups for cell in group.cells if not keep[cell].all()]
    return [
        _Mixing(cell, keep[cell], spilled(interpolation(kernel, keep[cell], ridge)))
        for cell, kernel in zip(cells, _kernels(dense, channels, layers, cells), strict=True)
        if kernel.any()
    ]


def _kernels(dense: Graph, channels: Channels, layers: Mapping[str, Linear], cells: Sequence[Array]) -> Iterator[Array]:
    """Sum each cell's second moments over the layers that make all of its channels; zeros where none does."""
    rectified = np.zeros(channels.context.registry_size(), bool)
    for node in dense.nodes:
        labels = channels.context.labels.get(node.outputs[0].name) if node.op in _RECTIFIERS + _WRITTEN_OUT else None
        if labels is not None:
            rectified[labels.atoms] = True
    makers = list(_makers(channels, layers))
    for cell in cells:
        kernel = np.zeros((len(cell), len(cell)))
        for maker, births in makers:
            places = births.places(cell)
            if places is not None:
                made = _rows(dense, maker, layers[maker])[places]
                kernel += (relu_kernel if rectified[cell].all() else linear_kernel)(made)
        yield kernel


@dataclass(frozen=True)
class _Births:
    """The channels that a layer makes, ``atoms`` (c,), and their ``order``."""

    atoms: Array
    order: Array

    def places(self, cell: Array) -> Array | None:
        """Return where the channels of a cell stand; None where the layer does not make all of them."""
        found = self.order[np.searchsorted(self.atoms, cell, side="right", sorter=self.order) - 1]
        return found if np.array_equal(self.atoms[found], cell) else None


def _makers(channels: Channels, layers: Mapping[str, Linear]) -> Iterator[tuple[str, _Births]]:
    """Yield the layers that make channels, by node name, and which."""
    for birth in channels.context.births:
        layer = layers.get(birth.node)
        if layer is not None and layer.groups * layer.fan_out == len(birth.atoms):
            yield birth.node, _Births(birth.atoms, np.argsort(birth.atoms, kind="stable"))


def _rows(dense: Graph, node: str, layer: Linear) -> Array:
    """Return a layer's weights (channels made, inputs)."""
    matrix = layer.matrix(stored_weight(dense, dense.node(node), layer))
    return matrix.transpose(0, 2, 1).reshape(-1, layer.fan_in)


def _fold(features: Array, atoms: Array, mixing: _Mixing) -> bool:
    """Add what a reader's ``features`` (inputs, taps, m) did with removed channels to kept ones; say whether it did."""
    inside = np.flatnonzero(np.isin(atoms, mixing.classes))
    places = inside[np.argsort(atoms[inside], kind="stable")]
    times = len(inside) // len(mixing.classes)
    if not times or not np.array_equal(atoms[places], np.repeat(mixing.classes, times)):
        return False
    places = places.reshape(-1, times)
    gone, kept = places[~mixing.stays], places[mixing.stays]
    features[kept] += np.einsum("gk,gotm->kotm", mixing.share, features[gone])
    return True
