"""Peak memory: the most bytes that any step of a run holds, live activations and the weights that the step reads.

Steps are nodes in the order of the graph, for one sample. A tensor is live from the step that makes it to the last
that reads it, a graph input from the first step on, a graph output to the end. Operators that only look at their input
in another form share its memory. So do codes and the floats that stand for them between QuantizeLinear and
DequantizeLinear: kernels for codes read and write codes. No operator is taken to work in place, and what a runtime
keeps besides (workspace, packed weights, alignment, the inner tensors of If and Loop) is not counted: a careful runtime
needs less, a careless one more. This is the working memory of Liberis and Lane, "Neural networks on microcontrollers:
saving memory at inference via operator reordering" (arXiv 1910.05110), with the weights of the step added.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from ....ir.errors import UsageError
from ....ir.graph import Graph, Node, Tensor
from ....ir.quantity import BYTES, scaled
from ....ir.shapes import Shape, concrete, input_sizes
from ..channels.groups import Channels
from ..channels.labels import Labels
from ..channels.rules.table import UNARY
from ..layers.linear import is_stored, stored_at
from .meters import Counted
from .products import Counter, Product, bias_products
from .steps import Steps, spread

_VIEWS = ("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")


@dataclass(frozen=True)
class PeakMemory(Counted):
    """Counts bytes, see the module."""

    def of(self, graph: Graph) -> float:
        """Count a whole graph. Raises UsageError where the shape of a tensor is not known."""
        blocks, steps = _blocks(graph)
        sizes = np.array([block.size for block in blocks], np.float64)
        first, last = (np.array([getattr(block, end) for block in blocks], np.int64) for end in ("first", "last"))
        return float(spread(sizes, first, last, steps).max(initial=0.0))

    def products(self, graph: Graph, channels: Channels) -> Steps:
        """Write every step's bytes over group widths; exact but for the lists of indices that rewriting adds."""
        counter, tensors = Counter.of(channels), graph.tensors()
        blocks, steps = _blocks(graph)
        found = [counter.product(block.size, _axes(channels, tensors[block.tensor])) for block in blocks]
        first, last = (np.array([getattr(block, end) for block in blocks], np.int64) for end in ("first", "last"))
        return Steps(tuple(found), first, last, steps)

    def later(self, graph: Graph, channels: Channels) -> list[Product]:
        """Write the bytes of biases that solving layers anew would add: no step reads more than all of them."""
        return bias_products(graph, channels, "bytes")

    def said(self, value: float) -> str:
        """Write a value for people."""
        return f"{scaled(value)}B"


PEAK_MEMORY = PeakMemory("peak-memory", "bytes", BYTES, examples=("0.5x", "256KiB"))


@dataclass
class _Block:
    """Memory of ``size`` bytes that is held from step ``first`` to ``last``, for a tensor."""

    tensor: str
    size: int
    first: int
    last: int


def _axes(channels: Channels, tensor: Tensor) -> list[Labels]:
    """Return the labels by which a tensor shrinks: those of the constant behind it where it is stored, two at most."""
    if is_stored(tensor):
        return channels.context.slices.get(stored_at(tensor).name, [])[:2]
    own = channels.context.labels.get(tensor.name)
    return [own] if own else []


def _blocks(graph: Graph) -> tuple[list[_Block], int]:
    """Return all blocks, a weight's once for every step that reads it, and the number of steps."""
    needed = graph.copy()
    needed.clean()
    sizes = _Sizes(needed)
    live = {tensor.name: _Block(tensor.name, sizes.of(tensor), 0, 0) for tensor in needed.inputs}
    roots: dict[str, Tensor] = {}
    weights = []
    for step, node in enumerate(needed.nodes):
        seen = _looked_at(needed, node)
        read = {root.name: root for root in (roots.get(tensor.name, tensor) for tensor in _read(node))}
        for name, tensor in read.items():
            if name in live:
                live[name].last = step
            elif tensor.is_constant and (seen is None or tensor.name != seen.name):
                weights.append(_Block(name, tensor.array.nbytes, step, step))
        for tensor in node.outputs:
            root = None if seen is None else roots.get(seen.name, seen)
            if root is not None and (root.name in live or root.is_constant):
                roots[tensor.name] = root
            elif tensor.name:
                live[tensor.name] = _Block(tensor.name, sizes.of(tensor), step, step)
    steps = len(needed.nodes)
    for tensor in needed.outputs:
        name = roots.get(tensor.name, tensor).name
        if name in live:
            live[name].last = max(steps - 1, 0)
    return [*live.values(), *weights], steps


def _looked_at(graph: Graph, node: Node) -> Tensor | None:
    """Return what a node only looks at in another form: kernels for codes read codes and write codes themselves."""
    if node.domain or not node.inputs:
        return None
    read, made = node.inputs[0], node.outputs[0]
    match node.op:
        case "DequantizeLinear":
            inside = made.consumers and not graph.is_output(made) and all(map(_on_codes, made.consumers))
            return read if inside else None
        case "Transpose":  # of a weight: done once, when the model is read
            return read if is_stored(read) else None
        case "QuantizeLinear":
            return None if _coded(graph, read) is None else read
    return read if node.op in _VIEWS else None


def _coded(graph: Graph, tensor: Tensor) -> Tensor | None:
    """Return the codes as which floats are held: an operator on codes makes them, and one node alone reads them, to
    round them, maybe after a function.
    """
    made = tensor.producer
    if made is None or not (_on_codes(made) or (made.op in UNARY and _coded(graph, made.inputs[0]) is not None)):
        return None
    return _rounded(graph, tensor)


def _rounded(graph: Graph, tensor: Tensor) -> Tensor | None:
    """Return the codes that a tensor becomes, where nothing else reads it."""
    readers = tensor.consumers
    if len(readers) != 1 or graph.is_output(tensor) or readers[0].domain:
        return None
    if readers[0].op == "QuantizeLinear":
        return readers[0].outputs[0]
    return _rounded(graph, readers[0].outputs[0]) if readers[0].op in UNARY else None


def _on_codes(node: Node) -> bool:
    """Whether all floats of more than one number that a node reads come from DequantizeLinear."""
    floats = [
        t for t in node.inputs if t.name and not (t.is_constant and (t.array.dtype.kind != "f" or t.array.ndim < 2))
    ]
    made = [tensor.producer for tensor in floats]
    return not node.domain and bool(made) and all(each is not None and each.op == "DequantizeLinear" for each in made)


def _read(node: Node) -> Iterator[Tensor]:
    yield from (tensor for tensor in node.inputs if tensor.name)
    if node.has_subgraphs:
        yield from node.captures()


class _Sizes:
    """Bytes of the tensors of a graph, at one sample. An element type that is not known is that of a node's input."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._shapes: dict[str, Shape] = concrete(graph, input_sizes(graph, 1))
        self._widths: dict[str, int] = {}

    def of(self, tensor: Tensor) -> int:
        """Return a tensor's bytes. Raises UsageError where its shape is not known."""
        if tensor.name not in self._shapes:
            where = tensor.producer
            node = {} if where is None else {"node_name": where.name, "op_type": where.op}
            raise UsageError(
                "peak memory needs the shape of every tensor", **node, why=f"that of '{tensor.name}' is not known"
            )
        return prod(self._shapes[tensor.name]) * self._width(tensor)

    def _width(self, tensor: Tensor) -> int:
        codes = _coded(self._graph, tensor)
        if codes is not None:
            return self._width(codes)
        if tensor.name not in self._widths:
            known, made = tensor.dtype, tensor.producer
            read = [t for t in made.inputs if t.name] if known is None and made is not None else []
            width = self._width(read[0]) if read else np.dtype(np.float32 if known is None else known).itemsize
            self._widths[tensor.name] = width
        return self._widths[tensor.name]
