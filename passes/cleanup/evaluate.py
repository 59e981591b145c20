"""Compute what depends on constants only, by running that part of the graph."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np
import onnx.helper

from ...ir.attributes import RANDOM
from ...ir.errors import InvalidModelError
from ...ir.graph import Dim, Graph, Node, Tensor
from ...ir.runner import Runner
from ...ir.shapes import symbolic
from ..analysis.channels.labels import SEEN_THROUGH

_STAY = {"Constant", "DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear", *RANDOM}
"""Operators whose values are not stored; a Constant that is still a node holds texts."""

CAP = 2**20
"""Bytes that values may take, one and all together, which take more than twice the room of what they are made of."""

_FREE = 2**12  # bytes of a value that is stored whatever it is made of
_SESSION_BYTES = 2**28
_ITEM_BYTES = 4
_LAYERS = ("BatchNormalization", "Conv", "ConvTranspose", "Gemm")
_FEW = 16  # entries of a constant whose format does not matter


def evaluate(graph: Graph, runner: Runner) -> int:
    """Store the outputs of every node that reads constants only; return how many nodes went.

    Random operators, (de)quantisation, control flow and nodes that make an output of the model stay, and tables that
    would take more room than :data:`CAP`, or that another node reads as they are and a layer transposed. One session
    computes up to 256 MiB of outputs.
    """
    folded = _foldable(graph)
    shapes = symbolic(graph) if folded else {}
    frontier = _frontier(folded, shapes, CAP)
    tables = sum(size for node, tensors in frontier if (size := _growth(node, _bytes(tensors, shapes))))
    if tables > CAP:
        frontier = _frontier(folded, shapes, 0)
    if not frontier:
        return 0
    before = len(graph.nodes)
    for chunk in _chunks(frontier, shapes):
        _store(graph, runner, chunk)
    graph.clean()
    return before - len(graph.nodes)


def _growth(node: Node, size: int) -> int:
    """Return the bytes of a value where it takes more than twice the room of what it is made of, else 0."""
    weighs = any(_is_parameter(reader, tensor) for tensor in node.outputs for reader in tensor.consumers)
    return 0 if weighs or size <= max(_FREE, 2 * sum(_sources(node).values())) else size


def _is_parameter(reader: Node, tensor: Tensor) -> bool:
    """Whether a tensor is the weight of a layer, which can only lose channels when it is stored."""
    return not reader.domain and reader.op in _LAYERS and reader.inputs[0] != tensor


def _sources(node: Node) -> dict[str, int]:
    """Return the bytes of every constant that a node's value is made of, by name."""
    found: dict[str, int] = {}
    waiting, seen = [node], {node}
    while waiting:
        for tensor in waiting.pop().inputs:
            if tensor.is_constant:
                found[tensor.name] = tensor.array.nbytes
            elif tensor.producer is not None and tensor.producer not in seen:
                seen.add(tensor.producer)
                waiting.append(tensor.producer)
    return found


def _bytes(tensors: Sequence[Tensor], shapes: Mapping[str, tuple[Dim, ...]]) -> int:
    """Return what tensors take, as far as their sizes are known."""
    sizes = [[dim for dim in shapes.get(tensor.name, ()) if isinstance(dim, int)] for tensor in tensors]
    items = [_ITEM_BYTES if tensor.dtype is None else np.dtype(tensor.dtype).itemsize for tensor in tensors]
    return sum(item * prod(dims) for item, dims in zip(items, sizes, strict=True))


def _frontier(
    folded: Sequence[Node], shapes: Mapping[str, tuple[Dim, ...]], cap: int
) -> list[tuple[Node, list[Tensor]]]:
    """Return the nodes whose values are read by what stays, with these values; tables beyond the cap stay too."""
    members, found = set(folded), list[tuple[Node, list[Tensor]]]()
    for node in reversed(folded):
        read = [t for t in node.outputs if t.name and any(reader not in members for reader in t.consumers)]
        if read and _growth(node, _bytes(read, shapes)) > cap:
            members.discard(node)
        elif read:
            found.append((node, read))
    return found[::-1]


def _foldable(graph: Graph) -> list[Node]:
    known: set[Tensor] = set()
    found = []
    for node in graph.nodes:
        if node.domain or node.has_subgraphs or node.op in _STAY or _widens(node) or _turns_shared(node):
            continue
        if not node.outputs or any(graph.is_output(tensor) for tensor in node.outputs):
            continue
        if all(not tensor.name or tensor.is_constant or tensor in known for tensor in node.inputs):
            found.append(node)
            known.update(node.outputs)
    return found


def _widens(node: Node) -> bool:
    """Whether a node reads floats that are stored in half of the room that its own would take."""
    if node.op != "Cast" or not node.inputs[0].is_constant:
        return False
    stored, wide = np.dtype(node.inputs[0].dtype), np.dtype(onnx.helper.tensor_dtype_to_np_dtype(node.attributes["to"]))
    several = node.inputs[0].array.size > _FEW
    return several and stored.kind in "fV" and wide.kind == "f" and wide.itemsize > stored.itemsize


def _turns_shared(node: Node) -> bool:
    """Whether layers alone read a matrix transposed that another node reads as it is: it would be stored twice."""
    if node.op != "Transpose" or not node.inputs[0].is_constant or node.inputs[0].array.ndim != 2:
        return False
    return _weighs(node) and any(reader.op != "Transpose" for reader in node.inputs[0].consumers)


def _weighs(node: Node) -> bool:
    """Whether what a node makes is the weight of products and nothing else, maybe after other nodes that hand it on."""
    readers = node.outputs[0].consumers
    handed_on = [reader for reader in readers if reader.qualified in SEEN_THROUGH]
    products = [reader for reader in readers if not reader.domain and reader.op in ("Gemm", "MatMul")]
    return len(handed_on) + len(products) == len(readers) and all(map(_weighs, handed_on))


def _chunks(
    frontier: Sequence[tuple[Node, list[Tensor]]], shapes: Mapping[str, tuple[Dim, ...]]
) -> Iterator[list[tuple[Node, list[Tensor]]]]:
    """Cut the frontier into runs whose outputs fit one session's budget, as far as their sizes are known."""
    chunk: list[tuple[Node, list[Tensor]]] = []
    held = 0
    for node, tensors in frontier:
        needed = _bytes(tensors, shapes)
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
    for node, outputs in chunk:
        if _growth(node, sum(values[tensor.name].nbytes for tensor in outputs)) <= CAP:
            for tensor in outputs:
                graph.make_constant(tensor, values[tensor.name])
