"""The multiple of channels that pays on a machine, from how long a few small convolutions take at several widths."""

from itertools import pairwise

import numpy as np
from onnx import TensorProto
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info
from onnx.numpy_helper import from_array

from ...ir.graph import IR_VERSION, Graph
from ...ir.timing import Timer
from .staircase import multiple

_WIDTH, _SIDE = 64, 28


def alignment(timer: Timer) -> int:
    """Return the smallest power of two by which 64 channels must shrink before 3x3 convolutions run faster."""
    return multiple(lambda width: timer.times([convolutions(width)])[0], _WIDTH)


def convolutions(width: int = _WIDTH) -> Graph:
    """Three convolutions with activations: 64 channels in, ``width`` twice, 64 out."""
    nodes, weights = [], []
    for place, (into, out) in enumerate(pairwise((_WIDTH, width, width, _WIDTH))):
        names = [f"x{place}", f"weight{place}"]
        nodes.append(make_node("Conv", names, [f"y{place}"], pads=[1, 1, 1, 1]))
        nodes.append(make_node("Relu", [f"y{place}"], [f"x{place + 1}"]))
        weights.append(from_array(np.full((out, into, 3, 3), 0.01, np.float32), names[1]))
    shape = (1, _WIDTH, _SIDE, _SIDE)
    ends = [make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x0", f"x{len(weights)}")]
    graph = make_graph(nodes, "convolutions", ends[:1], ends[1:], weights)
    return Graph.of(make_model(graph, opset_imports=[make_opsetid("", 13)], ir_version=IR_VERSION))
