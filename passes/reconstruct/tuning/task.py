"""What tuning is asked to do."""

from __future__ import annotations

from ....ir.errors import UnsupportedOpError
from ....ir.feeds import Calibration
from ....ir.graph import Graph
from ....ir.runner import Runner
from ....ir.shapes import Shape, concrete, input_sizes
from ...analysis.channels.origins import Origins, shape_after
from ...analysis.gradients.task import Task, spread
from ...analysis.outputs.aims import aims
from .ends import block_ends
from .weights import tunable


def task(
    graph: Graph, original: Graph, kept: Origins, samples: Calibration, features: float, batch: int, runner: Runner
) -> Task:
    """Aim at outputs, each relative to its variance, and with the weight ``features`` at inner tensors, to their power.

    Inner tensors are the ends of blocks that both graphs have; together they weigh ``features``. ``samples`` are those
    that variances and powers are taken from. Raises UnsupportedOpError where there is nothing to aim at.
    """
    shapes, whole = (concrete(each, input_sizes(each, batch)) for each in (graph, original))
    there = {name for name in shapes.keys() & whole.keys() if _tells(name, shapes[name], whole[name], kept)}
    weights = [tensor.name for tensor in tunable(graph)]
    if not weights:
        raise UnsupportedOpError("there is nothing to tune: no layer has weights of float32")
    outputs = [aim.tensor for aim in aims(graph, shapes) if aim.tensor in there]
    if not outputs:
        raise UnsupportedOpError("no output can be held against the original's")
    inner = [name for name in block_ends(graph) if name in there and name not in outputs]
    spreads = spread(original, kept, [*outputs, *inner], samples.batches(batch), runner)
    factors = {name: 1 / spreads[name].off_mean for name in outputs}
    factors |= {name: features / len(inner) / spreads[name].power for name in inner}
    return Task(graph, shapes, original, kept, factors, weights, batch)


def _tells(name: str, shape: Shape, whole: Shape, kept: Origins) -> bool:
    """Whether it is known which indices of a tensor are left, and they are not of samples too."""
    origin = kept.get(name)
    if origin is None:
        return name not in kept and shape == whole
    return origin.axis > 0 and whole[origin.axis] == origin.whole and shape == shape_after(whole, origin)
