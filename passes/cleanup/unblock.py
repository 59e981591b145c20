"""Layers whose channels onnxruntime has laid out in blocks, as it saves a model optimised for one machine.

At the level ORT_ENABLE_ALL it writes convolutions and pools of its own domain, whose tensors hold blocks of 8 or 16
channels side by side, filled up with zeros, and whose weights lie in that order. Here they are written as standard ones
of plain channels; it makes blocks again when it loads the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx.defs

from ...ir.errors import InvalidModelError
from ...ir.graph import Array, Graph, Node, Tensor
from ...ir.runner import Runner
from ...ir.shapes import symbolic
from .blocks import DOMAIN, views
from .unfuse import unfuse

_LARGEST = 16
_SLICED = 10  # the operator set since which Slice takes its limits as inputs, and Upsample is Resize
_PADDED = 11  # that since which Pad takes its sizes as an input, and Resize says how places map
_OPEN = 13  # that since which Resize may leave its region out
_SCALED = 9  # that since which Upsample takes its scales as an input
_RANK = 4


def unblock(graph: Graph, runner: Runner) -> int:
    """Write that domain's nodes, all or none: return how many.

    None where this machine has no such blocks, or an operator reads blocks whose result their order changes.
    """
    if not any(node.domain == DOMAIN for node in graph.nodes):
        return 0
    copy, block = graph.copy(), _block(runner)
    found = [node for node in copy.nodes if node.domain == DOMAIN]
    turned = views(copy)
    if block is None or turned is None or not all(_bypassed(copy, node) for node in turned):
        return 0
    for node in found:
        if node.op not in _KNOWN or not _KNOWN[node.op](copy, node, block):
            return 0
        copy.remove(node)
    graph.become(copy)
    return len(found)


def _bypassed(graph: Graph, node: Node) -> bool:
    """Leave out a Reshape."""
    if graph.is_output(node.outputs[0]):
        return False
    graph.replace_uses(node.outputs[0], node.inputs[0])
    graph.remove(node)
    return True


def _block(runner: Runner) -> int | None:
    """Return how many channels lie side by side on this machine: a tensor of known numbers is laid out to see it."""
    graph = Graph.empty(_PADDED)
    x, y = graph.variable("x", np.float32), graph.variable("y", np.float32)
    graph.set_inputs([x])
    graph.insert("ReorderInput", [x], [y], {"channels_last": 0}, domain=DOMAIN)
    graph.set_outputs([y])
    numbers = np.arange(2 * _LARGEST, dtype=np.float32).reshape(1, _LARGEST, 1, 2)
    try:
        laid = runner.session(graph).run({"x": numbers})["y"].ravel()
    except InvalidModelError:
        return None
    return next((size for size in (8, _LARGEST) if np.array_equal(laid, _laid_out(numbers, size))), None)


def _laid_out(values: Array, block: int) -> Array:
    return values.reshape(-1, block, values[0, 0].size).transpose(0, 2, 1).ravel()


def _convolution(graph: Graph, node: Node, block: int) -> bool:
    """Give stored weights of whole blocks their plain order; what is fused with them stays so, for ``unfuse``."""
    weight = node.inputs[1]
    if not weight.is_constant or weight.array.ndim != _RANK or weight.array.shape[0] % block:
        return False
    plain = graph.constant(f"{weight.name}_plain", _plain(weight.array, node.attributes.get("group", 1), block))
    inputs = [node.inputs[0], plain, *node.inputs[2:]]
    fused = len(inputs) > 3 or "activation" in node.attributes
    op, domain = ("FusedConv", "com.microsoft") if fused else ("Conv", "")
    graph.insert(op, inputs, node.outputs, dict(node.attributes), before=node, domain=domain)
    return True


def _plain(weight: Array, group: int, block: int) -> Array:
    """Bring (m, c, h, w) from blocks of outputs, and of inputs where these come in blocks, into plain order."""
    outputs, inputs, *kernel = weight.shape
    depthwise, first = group > 1 and inputs == 1, group == 1 and inputs < block
    if depthwise or first:
        laid = weight.reshape(outputs // block, inputs, *kernel, block)
        return np.ascontiguousarray(laid.transpose(0, 4, 1, 2, 3).reshape(weight.shape))
    laid = weight.reshape(outputs // block, inputs // block, *kernel, block, block)
    return np.ascontiguousarray(laid.transpose(0, 5, 1, 4, 2, 3).reshape(weight.shape))


def _pool(graph: Graph, node: Node, _block: int) -> bool:
    """With what the operator set knows of; the rest, which onnxruntime writes as well, must say nothing."""
    known = onnx.defs.get_schema(node.op, graph.opset).attributes
    kept = {name: value for name, value in node.attributes.items() if name in known}
    if any(not _says_nothing(value) for name, value in node.attributes.items() if name not in known):
        return False
    graph.insert(node.op, node.inputs, node.outputs, kept, before=node)
    return True


def _says_nothing(value: object) -> bool:
    """Whether an attribute is what its absence means: a count of 0, steps of 1."""
    return value == 0 or (isinstance(value, list) and all(step == 1 for step in value))


def _in(graph: Graph, node: Node, block: int) -> bool:
    """Into blocks: channels first, and zeros behind them, where it is known how many there are."""
    read, last = node.inputs[0], bool(node.attributes.get("channels_last", 0))
    unfuse(graph)  # whose result has no shape
    channels = symbolic(graph).get(read.name, [None] * _RANK)[-1 if last else 1]
    if not isinstance(channels, int):
        return False
    if last:
        read = _turned(graph, node, read, (0, 3, 1, 2))
    zeros = [0] * 5 + [-channels % block, 0, 0]
    if not any(zeros):
        graph.insert("Identity", [read], node.outputs, before=node)
    elif graph.opset < _PADDED:
        graph.insert("Pad", [read], node.outputs, {"pads": zeros}, before=node)
    else:
        sizes = graph.constant(f"{node.name}_zeros", np.array(zeros, np.int64))
        graph.insert("Pad", [read, sizes], node.outputs, before=node)
    return True


def _out(graph: Graph, node: Node, block: int) -> bool:
    """Out of blocks: without the zeros, and with channels last where that is asked for."""
    read, channels = node.inputs[0], int(node.attributes["channels"])
    if channels % block:
        read = _cut(graph, node, channels)
    if node.attributes.get("channels_last", 0):
        read = _turned(graph, node, read, (0, 2, 3, 1))
    graph.insert("Identity", [read], node.outputs, before=node)
    return True


def _cut(graph: Graph, node: Node, channels: int) -> Tensor:
    limits, cut = {"starts": [0], "ends": [channels], "axes": [1]}, graph.variable(f"{node.name}_cut", np.float32)
    if graph.opset < _SLICED:
        graph.insert("Slice", node.inputs[:1], [cut], limits, before=node)
    else:
        given = [graph.constant(f"{node.name}_{name}", np.array(value)) for name, value in limits.items()]
        graph.insert("Slice", [node.inputs[0], *given], [cut], before=node)
    return cut


def _turned(graph: Graph, node: Node, tensor: Tensor, order: tuple[int, ...]) -> Tensor:
    turned = graph.variable(f"{node.name}_turned", np.float32)
    graph.insert("Transpose", [tensor], [turned], {"perm": list(order)}, before=node)
    return turned


def _enlarged(graph: Graph, node: Node, _block: int) -> bool:
    """An Upsample of its own, as a Resize, or what was before it."""
    given, x = node.attributes, node.inputs[0]
    if graph.opset < _SCALED:
        return False
    scales = graph.constant(f"{node.name}_scales", np.array(given["scales"], np.float32))
    kept = {"mode": given.get("mode", "nearest")}
    if graph.opset < _PADDED:
        graph.insert("Upsample" if graph.opset < _SLICED else "Resize", [x, scales], node.outputs, kept, before=node)
        return True
    kept |= {"nearest_mode": "floor"}
    kept["coordinate_transformation_mode"] = given.get("coordinate_transformation_mode", "asymmetric")
    region = graph.constant(f"{node.name}_region", np.zeros(0, np.float32)) if graph.opset < _OPEN else Tensor.absent()
    graph.insert("Resize", [x, region, scales], node.outputs, kept, before=node)
    return True


_KNOWN: Mapping[str, Callable[[Graph, Node, int], bool]] = {
    "AveragePool": _pool,
    "Conv": _convolution,
    "GlobalAveragePool": _pool,
    "GlobalMaxPool": _pool,
    "MaxPool": _pool,
    "ReorderInput": _in,
    "ReorderOutput": _out,
    "Upsample": _enlarged,
}
