"""Copies of a graph whose readers have lost channels, and make up for them by closed forms."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ....ir.graph import Array, Graph
from ..layers.linear import Linear, stored_weight
from ..layers.writing import stored_bias, writable, write_bias, write_weight
from ..statistics.compensation import compensated
from .groups import Channels, Group
from .masking import masked
from .readers import Reader

RIDGE = 1e-3

Losing = Mapping[str, Sequence[tuple[Reader, Array]]]
"""Parts by node, each with the rows that stay, (d,) bool."""


def editable_layers(graph: Graph, channels: Channels) -> dict[str, Linear]:
    """Return the layers whose weights may be edited, by node name."""
    layers = channels.layers
    return {n.name: layers[n.name] for n in graph.nodes if n.name in layers and writable(graph, n, layers[n.name])}


def repaired_copy(
    graph: Graph,
    channels: Channels,
    kept: Mapping[str, Array],
    layers: Mapping[str, Linear],
    losing: Losing,
    solve: Callable[[Reader, Array], tuple[Array, Array]],
) -> Graph:
    """Return a copy whose readers have lost channels: ``layers`` are solved for it, the others read zeros.

    ``kept`` as for :func:`masked`; ``solve`` gives a part's weight and shift of the bias.
    """
    rest = losing.keys() - layers.keys()
    copy = masked(graph, channels, kept, at=rest) if rest else graph.copy()
    nodes = {node.name: node for node in copy.nodes}
    for name in [name for name in losing if name in layers]:
        node, layer = nodes[name], layers[name]
        stored = stored_weight(copy, node, layer)
        matrix, shift = layer.matrix(stored), np.zeros((layer.groups, layer.fan_out))
        for reader, rows in losing[name]:
            matrix[reader.part], shift[reader.part] = solve(reader, rows)
        write_weight(copy, node, layer, layer.weight(matrix, stored))
        write_bias(copy, node, layer, stored_bias(copy, node, layer) + shift.ravel())
    return copy


def without(
    graph: Graph,
    channels: Channels,
    group: Group,
    stays: Array,
    layers: Mapping[str, Linear],
    reading: Sequence[Reader],
    ridge: float = RIDGE,
) -> Graph:
    """Return a copy in which one group has lost the units that do not stay, (units,) bool, repaired at its readers."""
    losing: dict[str, list[tuple[Reader, Array]]] = {}
    for reader in reading:
        rows = np.where(reader.unit >= 0, stays[reader.unit], True)
        losing.setdefault(reader.node, []).append((reader, rows))
    kept = {group.name: group.cells.ravel()[stays]}

    def solve(reader: Reader, rows: Array) -> tuple[Array, Array]:
        return repaired(reader, rows, ridge)

    return repaired_copy(graph, channels, kept, layers, losing, solve)


def repaired(reader: Reader, rows: Array, ridge: float = RIDGE) -> tuple[Array, Array]:
    """Solve a part for the rows that stay, (d,) bool, with its own ridge or ``ridge``, the larger (methods.md#loss)."""
    assert reader.cov is not None and reader.mean is not None
    return compensated(reader.weight, reader.cov, reader.mean, rows, max(ridge, reader.ridge))
