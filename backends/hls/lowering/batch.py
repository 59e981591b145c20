"""A graph that is fixed to a batch, for one sample; and whether that is what its first axis counts."""

from __future__ import annotations

import numpy as np

from ....ir import shapes
from ....ir.errors import LoweringError
from ....ir.feeds import fixed_batches, lying, random_feeds
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from ..network import Shape

_NEAR = 1e-4  # of the largest number


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


def check_batch(graph: Graph, runner: Runner) -> None:
    """Raise LoweringError where the first axis is fixed to more than one and does not count samples.

    A sample gives what it gives at another place among others; a row of one sample does not.
    """
    batch = next(iter(fixed_batches(graph)), 1)
    if batch == 1:
        return
    rng, session = np.random.default_rng(0), runner.session(graph)
    feeds, others = (random_feeds(graph, rng, batch) for _ in range(2))
    for name in others.keys() - lying(graph).keys():
        if others[name].shape[:1] == (batch,):
            others[name][1] = feeds[name][0]
    wanted, got = session.run(feeds), session.run(others)
    for name, array in wanted.items():
        if array.shape[:1] != (batch,) or not np.allclose(array[0], got[name][1], rtol=0, atol=_near(array[0])):
            why = f"inputs fix their first axis to {batch}, and output '{name}' mixes what lies along it"
            hint = "export it with one more axis in front, for samples"
            raise LoweringError("the first axis of the model does not count samples", why=why, hint=hint)


def _near(values: Array) -> float:
    return _NEAR * float(np.abs(values).max(initial=0.0))
