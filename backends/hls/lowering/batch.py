"""A graph that is fixed to a batch, for one sample."""

from __future__ import annotations

import numpy as np

from ....ir import shapes
from ....ir.feeds import fixed_batches
from ....ir.graph import Graph
from ..network import Shape


def one_sample(graph: Graph, sizes: dict[str, Shape]) -> tuple[Graph, dict[str, Shape]]:
    """Return a graph whose inputs have ``sizes`` for a batch of 1, and these: a copy where it is fixed to more.

    Targets of Reshape that name the batch are rewritten. That samples do not meet on the way shows when the network is
    compared with the model.
    """
    fixed = fixed_batches(graph)
    if len(fixed) != 1 or fixed == {1}:
        return graph, sizes
    (batch,) = fixed
    known, single = shapes.concrete(graph, sizes), graph.copy()
    for node in single.nodes:
        if node.op == "Reshape" and node.inputs[1].is_constant:
            target = np.array(node.inputs[1].array)
            if target.size and target[0] == batch == known.get(node.outputs[0].name, (0,))[0]:
                target[0] = 1
                node.set_input(1, single.constant(node.inputs[1].name, target))
    return single, {name: (1, *shape[1:]) if shape[:1] == (batch,) else shape for name, shape in sizes.items()}
