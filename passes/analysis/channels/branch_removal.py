"""``remove_branches``: removal that may empty groups; layers that lose their whole input become constants."""

from collections.abc import Mapping

import numpy as np

from ....ir.errors import PreconditionError
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from ..layers.linear import stored_weight, takes_bias
from ..layers.writing import stored_bias, write_bias
from .branches import Cut, constant_shape, cut
from .groups import Channels
from .removal import keep_mask, remove
from .surgery import compact


def branch_cut(graph: Graph, channels: Channels, kept: Mapping[str, Array]) -> Cut:
    """Return the cut of the groups of which ``kept`` keeps nothing. Raises PreconditionError when they cannot go."""
    emptied = [name for name, classes in kept.items() if not classes.size]
    found = cut(graph, channels, emptied)
    if found is None:
        why = f"the graph needs some channel of {', '.join(emptied)}"
        raise PreconditionError("these groups cannot all go entirely", why=why)
    return found


def mean_shifts(graph: Graph, channels: Channels, parts: Cut, means: Mapping[str, Array]) -> dict[str, Array]:
    """Return what the removed inputs add to each reader on average, ``W^T mean`` (g * m,); zeros without means."""
    layers = channels.layers
    shifts = {}
    for name in parts.readers:
        layer = layers[name]
        matrix = layer.matrix(stored_weight(graph, graph.node(name), layer))
        mean = means[name] if name in means else np.zeros(matrix.shape[:2])
        shifts[name] = np.einsum("gdm,gd->gm", matrix, mean).ravel()
    return shifts


def shift_readers(graph: Graph, channels: Channels, shifts: Mapping[str, Array], masked: Graph) -> None:
    """Add to the readers' biases in ``masked``, the analysed graph with zeros in place of what goes; in place."""
    layers = channels.layers
    for name, shift in shifts.items():
        node, layer = masked.node(name), layers[name]
        write_bias(masked, node, layer, stored_bias(masked, node, layer) + shift)


def keep_shape(channels: Channels, kept: Mapping[str, Array]) -> Array:
    """Return one bool a class id, :func:`keep_mask` with one unit left of an emptied group.

    No tensor is empty under it, so shapes and slices of whatever is left can be read off it.
    """
    cells = {group.name: group.cells for group in channels.groups}
    return keep_mask(channels, {name: part if part.size else cells[name][:, 0] for name, part in kept.items()})


def remove_branches(
    graph: Graph, channels: Channels, kept: Mapping[str, Array], shifts: Mapping[str, Array], parts: Cut, runner: Runner
) -> None:
    """Remove channels as :func:`remove` does; emptied groups vanish with all that only they read or are read by.

    What is left of a reader, its bias plus its part of ``shifts``, is stored once a feature and broadcasts. Operators
    that only read such constants are computed here. Raises as :func:`remove` does.
    """
    partly = {name: classes for name, classes in kept.items() if classes.size}
    values = _constants(graph, channels, keep_mask(channels, partly), shifts)
    remove(graph, channels, partly)
    tensors = graph.tensors()
    for name, value in values.items():
        graph.make_constant(tensors[name], value)
    computed = [name for name in parts.constants if name not in values]
    if computed:
        fixed = graph.copy()
        inner = fixed.tensors()
        for name, rank in parts.reshaped.items():
            node, form = fixed.node(name), fixed.constant("features", np.array([1] * (rank - 1) + [-1], np.int64))
            node.set_op("Reshape")
            node.set_inputs([node.inputs[0], form])
        fixed.set_inputs([])
        fixed.set_outputs([inner[name] for name in computed])
        fixed.clean()
        for name, value in runner.session(fixed, exact=True).run({}).items():
            graph.make_constant(tensors[name], value)
    graph.clean()


def _constants(graph: Graph, channels: Channels, keep: Array, shifts: Mapping[str, Array]) -> dict[str, Array]:
    """Return what each reader gives without its input, over the features that stay. A bias added later stays there."""
    context = channels.context
    layers = channels.layers
    values = {}
    for name, shift in shifts.items():
        node, layer = graph.node(name), layers[name]
        bias = stored_bias(graph, node, layer) if takes_bias(node) else 0.0
        rank = len(context.shapes[layer.output])
        value = (bias + shift).reshape(constant_shape(layer, rank)).astype(stored_weight(graph, node, layer).dtype)
        labels = context.labels.get(layer.output)
        if labels is not None and labels.shrink is not None:
            value = compact(value, keep[labels.atoms], labels.shrink, layer.output)
        values[layer.output] = value
    return values
