"""From the ONNX graph of a float network to layers of streaming hardware."""

from __future__ import annotations

from ....ir import shapes
from ....ir.graph import Graph, Node
from ..network import Network
from .batch import one_sample
from .build import Build, refusal
from .ends import place_input, place_outputs, the_inputs
from .fold import drop_unread, fold
from .operators import OPERATORS, SEVERAL, hint, lack
from .stored import is_stored

_SOFTMAX = ("Softmax", "LogSoftmax")


def lower(graph: Graph) -> Network:
    """Return the layers of one sample, channels last, that compute what the graph does.

    The graph's constants must be folded. A batch becomes 1, open sizes besides it those that are kept with the graph.
    The ports of the inputs and of the network carry samples and results between both layouts.

    Raises
    ------
    LoweringError : an operator, or a use of it, without counterpart: the node, why, and a way out.
    InvalidModelError : shape inference refuses the graph.
    """
    graph, sizes = one_sample(graph, shapes.input_sizes(graph, batch=1))
    inputs = the_inputs(graph)
    build = Build(graph, shapes.concrete(graph, sizes))
    nodes = _needed(graph)
    _check(graph, nodes)
    for tensor in inputs:
        place_input(build, tensor, sizes[tensor.name], nodes)
    for node in nodes:
        _lower(build, node)
    sources = {output.name: output.producer for output in graph.outputs}
    outputs, ports = place_outputs(build, sources)
    return drop_unread(fold(Network(tuple(build.layers), outputs, tuple(build.notes), ports)))


def _needed(graph: Graph) -> list[Node]:
    """List the nodes that outputs depend on, not by shapes alone, in order."""
    wanted = {tensor.name for tensor in graph.outputs}
    found = []
    for node in reversed(graph.nodes):
        if any(tensor.name in wanted for tensor in node.outputs):
            found.append(node)
            read = node.inputs if node.op in SEVERAL else node.inputs[:1]
            wanted.update(tensor.name for tensor in read if not is_stored(tensor))
    return found[::-1]


def _check(graph: Graph, nodes: list[Node]) -> None:
    """Raise LoweringError for the first operator that is unknown."""
    for node in nodes:
        ends = node.op in _SOFTMAX and graph.is_output(node.outputs[0]) and not node.outputs[0].consumers
        if not (node.qualified in OPERATORS or ends):
            why = "softmax is taken only at an output" if node.op in _SOFTMAX else lack(node.op)
            raise refusal(node, why, hint(node.op))


def _lower(build: Build, node: Node) -> None:
    if node.op in _SOFTMAX:
        build.notes.append(f"{node.op} '{node.name}' at the end is left to the host: output is what it reads")
        build.record(node, build.read(node))
        return
    build.record(node, OPERATORS[node.qualified](build, node))
