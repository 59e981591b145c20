"""The layers that read a group's channels, as matrices over its units: what every criterion scores with."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ....ir.graph import Array, Graph, Node
from ..layers.linear import Linear, stored_matrix
from ..statistics.input_moments import InputMoments
from .groups import Channels, Group
from .labels import Contraction, Labels, rows
from .rules.recurrent import GATES


@dataclass(frozen=True)
class Reader:
    """One group of one layer: ``weight`` (d, m), ``unit`` (d,) the unit a row belongs to or -1, its input moments.

    ``cov`` is (d, d), or (d,) where only variances are known; None without calibration data. ``ridge`` is relative to
    the mean variance.
    """

    node: str
    part: int
    weight: Array
    unit: Array
    mean: Array | None
    cov: Array | None
    ridge: float = 0.0


def units_of(channels: Channels, group: Group) -> Array:
    """Return, for every class id, its unit's number in ``group.cells.ravel()`` order, -1 elsewhere."""
    units = np.full(channels.context.registry_size(), -1)
    units[group.cells.ravel()] = np.arange(group.cells.size)
    return units


def readers(
    graph: Graph,
    channels: Channels,
    group: Group,
    layers: Mapping[str, Linear],
    moments: Mapping[str, InputMoments],
    weights: dict[str, Array],
) -> list[Reader]:
    """List every layer that sums over some channel of the group. Sums without weights count as reading with 1.

    Statistics of a norm read nothing: what comes out of it is read elsewhere.
    """
    units = units_of(channels, group)
    found = []
    for end in channels.context.contractions:
        if end.statistic or not (units[end.labels.atoms] >= 0).any():
            continue
        layer = layers.get(end.node)
        if layer is None:
            found += _other(graph.node(end.node), end, units)
            continue
        matrix = stored_matrix(graph, end.node, layer, weights)
        owner = np.repeat(units[row_atoms(end.labels, layer)], layer.taps)
        for part, unit in enumerate(owner.reshape(len(matrix), -1)):
            if (unit >= 0).any():
                known = moments.get(end.node)
                if known is None:
                    found.append(Reader(end.node, part, matrix[part], unit, None, None))
                    continue
                ridge = float(known.ridge[part])
                found.append(Reader(end.node, part, matrix[part], unit, known.mean[part], known.cov[part], ridge))
    return found


def row_atoms(labels: Labels, layer: Linear) -> Array:
    """Return the atoms of a layer's inputs, in the order of its weight's rows without taps: (g * d / taps,)."""
    return np.broadcast_to(rows(labels)[0], (layer.groups * layer.fan_in // layer.taps,))


def _other(node: Node, end: Contraction, units: Array) -> list[Reader]:
    """Weights of recurrent layers, (directions, gates, channels), are known; sums have none."""
    weight = node.inputs[max(1, end.operand)] if node.op in GATES else None
    if weight is None or not weight.is_constant:
        return [_unweighted(end.node, end.labels, units)]
    owners = np.broadcast_to(units[rows(end.labels)], (len(weight.array), weight.array.shape[2]))
    matrices = weight.array.astype(np.float64).transpose(0, 2, 1)
    return [Reader(end.node, part, matrices[part], owner, None, None) for part, owner in enumerate(owners)]


def _unweighted(node: str, labels: Labels, units: Array) -> Reader:
    flat = units[np.unique(labels.atoms)]
    chosen = flat[flat >= 0]
    return Reader(node, 0, np.ones((len(chosen), 1)), chosen, None, None)
