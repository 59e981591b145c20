"""Compute what depends on constants only, by running that part of the graph."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from ...ir.errors import InvalidModelError
from ...ir.graph import Dim, Graph, Node, Tensor
from ...ir.runner import Runner
from ...ir.shapes import symbolic

_RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
_STORED_FORMAT = {"DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"}
_SESSION_BYTES = 2**28
_ITEM_BYTES = 4


def evaluate(graph: Graph, runner: Runner) -> int:
    """Store the outputs of every node that reads constants only; return how many nodes went.

    Random operators, (de)quantisation, control flow and nodes that make an output of the model stay. One session
    computes up to 256 MiB of outputs.
    """
    folded = _foldable(graph)
    members = set(folded)
    frontier: list[tuple[Node, list[Tensor]]] = []
    for node in folded:
        read = [t for t in node.outputs if t.name and any(reader not in members for reader in t.consumers)]
        if read:
            frontier.append((node, read))
    if not frontier:
        return 0
    before = len(graph.nodes)
    for chunk in _chunks(frontier, symbolic(graph)):
        _store(graph, runner, chunk)
    graph.clean()
    return before - len(graph.nodes)


def _foldable(graph: Graph) -> list[Node]:
    known: set[Tensor] = set()
    found = []
    for node in graph.nodes:
        if node.domain or node.has_subgraphs or node.op in _RANDOM or node.op in _STORED_FORMAT:
            continue
        if not node.outputs or any(graph.is_output(tensor) for tensor in node.outputs):
            continue
        if all(not tensor.name or tensor.is_constant or tensor in known for tensor in node.inputs):
            found.append(node)
            known.update(node.outputs)
    return found


def _chunks(
    frontier: Sequence[tuple[Node, list[Tensor]]], shapes: Mapping[str, tuple[Dim, ...]]
) -> Iterator[list[tuple[Node, list[Tensor]]]]:
    """Cut the frontier into runs whose outputs fit one session's budget, as far as their sizes are known."""
    chunk: list[tuple[Node, list[Tensor]]] = []
    held = 0
    for node, tensors in frontier:
        sizes = [[dim for dim in shapes.get(t.name, ()) if isinstance(dim, int)] for t in tensors]
        needed = _ITEM_BYTES * sum(prod(dims) for dims in sizes)
        if chunk and held + needed > _SESSION_BYTES:
            yield chunk
            chunk, held = [], 0
        chunk.append((node, tensors))
        held += needed
    yield chunk


def _store(graph: Graph, runner: Runner, chunk: Sequence[tuple[Node, list[Tensor]]]) -> None:
    """Run the chunk; what the backend has no kernel for is halved until the culprit is alone, and stays."""
    wanted = [tensor for _, tensors in chunk for tensor in tensors]
    part = graph.copy()
    tensors = part.tensors()
    part.set_inputs([])
    part.set_outputs([tensors[tensor.name] for tensor in wanted])
    part.clean()
    try:
        values = runner.session(part, exact=True).run({})
    except InvalidModelError:
        half = len(chunk) // 2
        if half:
            _store(graph, runner, chunk[:half])
            _store(graph, runner, chunk[half:])
        return
    for tensor in wanted:
        graph.make_constant(tensor, values[tensor.name])
