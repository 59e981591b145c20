"""Repair without data: a removed channel is written as a combination of kept ones, guessed from its producers' weights,
and folded into every reader. Interpolation as in CHaPR (arXiv 1908.03266); the guess from weights alone is ours.
"""

from collections.abc import Iterator

import numpy as np

from ...ir.graph import Array, Graph
from ..analysis.channels import Channels, Group
from ..analysis.linear import Linear, linear_layers, stored_weight
from ..analysis.readers import row_atoms
from ..analysis.surgery import Surgery, sliced_constant
from .kernel import interpolation, linear_kernel, relu_kernel

_RECTIFIERS = ("Relu", "Clip", "LeakyRelu", "PRelu", "HardSwish", "Gelu", "Elu", "Mish")


def repair(graph: Graph, dense: Graph, channels: Channels, keep: Array, ridge: float) -> int:
    """Rewrite the readers of every shortened group in ``graph``; return how many layers changed."""
    layers = linear_layers(dense, channels.context.shapes)
    edited: dict[str, Array] = {}
    for group in channels.groups:
        stays = keep[group.cells.ravel()]
        if stays.all():
            continue
        for classes, mixing in _mixings(dense, channels, group, layers, keep, ridge):
            _fold(dense, channels, layers, edited, classes, mixing, keep)
    surgery = Surgery(dense, channels.context, keep)
    changed = 0
    for name, matrix in edited.items():
        node = dense.node(name)
        tensor = node.inputs[layers[name].weight_index]
        if tensor.is_constant and len(tensor.consumers) == 1:
            full = layers[name].weight(matrix, tensor.array)
            kept = sliced_constant(full, channels.context.slices.get(tensor.name, []), surgery, tensor.name)
            graph.set_array(graph.tensors()[tensor.name], kept)
            changed += 1
    return changed


def _mixings(
    dense: Graph, channels: Channels, group: Group, layers: dict[str, Linear], keep: Array, ridge: float
) -> Iterator[tuple[Array, Array]]:
    """For each cell, yield its classes and the (gone, kept) combination; cells whose producers are unknown are left."""
    rows = _producer_rows(dense, channels, layers)
    rectified = any(node.op in _RECTIFIERS for node in dense.nodes if _carries(channels, node.outputs[0].name, group))
    for cell in group.cells:
        made = [np.stack([found[int(c)] for c in cell]) for found in rows if all(int(c) in found for c in cell)]
        if made and not keep[cell].all():
            kernels = [(relu_kernel if rectified else linear_kernel)(part) for part in made]
            yield cell, interpolation(np.sum(kernels, 0), keep[cell], ridge)


def _carries(channels: Channels, tensor: str, group: Group) -> bool:
    labels = channels.context.labels.get(tensor)
    return labels is not None and bool(np.isin(group.cells.ravel()[0], labels.atoms))


def _producer_rows(dense: Graph, channels: Channels, layers: dict[str, Linear]) -> list[dict[int, Array]]:
    """Return, for every layer that bears channels, the weights that make each class."""
    found = []
    for birth in channels.context.births:
        layer = layers.get(birth.node)
        if layer is not None:
            matrix = layer.matrix(stored_weight(dense, dense.node(birth.node), layer))
            columns = matrix.transpose(0, 2, 1).reshape(-1, matrix.shape[1])
            if len(columns) == len(birth.atoms):
                found.append({int(c): columns[i] for i, c in enumerate(birth.atoms)})
    return found


def _fold(
    dense: Graph,
    channels: Channels,
    layers: dict[str, Linear],
    edited: dict[str, Array],
    classes: Array,
    mixing: Array,
    keep: Array,
) -> None:
    kept, gone = classes[keep[classes]], classes[~keep[classes]]
    for end in channels.context.contractions:
        layer = layers.get(end.node)
        if layer is None or not np.isin(gone, end.labels.atoms).all():
            continue
        atoms = row_atoms(end.labels)
        matrix = edited.get(end.node)
        if matrix is None:
            matrix = layer.matrix(stored_weight(dense, dense.node(end.node), layer)).copy()
        features = matrix.reshape(matrix.shape[0] * matrix.shape[1] // _taps(layer), _taps(layer), -1)
        places = {int(c): np.flatnonzero(atoms == c) for c in classes}
        times = {len(p) for p in places.values()}
        if len(times) == 1 and len(atoms) == len(features) and matrix.shape[0] == 1:
            to = np.stack([places[int(c)] for c in kept])
            source = np.stack([places[int(c)] for c in gone])
            features[to] += np.einsum("gk,gotm->kotm", mixing, features[source])
            edited[end.node] = features.reshape(matrix.shape)


def _taps(layer: Linear) -> int:
    return int(np.prod(layer.geometry.kernel)) if layer.geometry is not None else 1
