"""Values of a graph's inner tensors on fixed batches of samples, and runs of edited copies that start from them."""

from collections.abc import Iterator, Mapping, Sequence

from ....ir.feeds import Feeds
from ....ir.graph import Array, Graph, Tensor
from ....ir.mapped import let_go
from ....ir.runner import Runner
from .cone import cone
from .spill import Shelf, Shelved

BATCH = 64
_IN_MEMORY = 2**28
_IN_ALL = 8 * 2**30
_FUSED = "DequantizeLinear"
_NOT_ARRAYS = frozenset(
    {"Optional", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SplitToSequence"}
)


class Activations:
    """Tensors of one graph, computed when asked for from the nearest that are held, and held for the next time.

    Memory is bounded; what exceeds it lies on disk, and beyond a limit for both the longest unused is computed anew.
    """

    def __init__(self, graph: Graph, feeds: Sequence[Feeds], runner: Runner) -> None:
        self._graph, self._feeds, self._runner = graph, feeds, runner
        self._shelf = Shelf(_IN_MEMORY)
        self._held: dict[str, list[Shelved]] = {}

    def outputs(self, edited: Graph, changed: set[str], wanted: Sequence[str]) -> Iterator[dict[str, Array]]:
        """Run the nodes ``changed`` in a copy, from what the unchanged ones give; yield ``wanted`` batch by batch.

        ``wanted`` are tensors of changed nodes.
        """

        def unchanged(tensor: Tensor) -> bool:
            node = tensor.producer
            return node is not None and node.name not in changed and not _repeated(tensor)

        part = cone(edited, wanted, unchanged)
        yield from self._run(edited, set(part.nodes), self.pieces(part.reads), wanted)

    def pieces(self, names: Sequence[str]) -> dict[str, list[Array]]:
        """Return tensors of the graph by name, one array a batch."""
        inputs = {name: [feeds[name] for feeds in self._feeds] for name in names if name in self._feeds[0]}
        inner = [name for name in names if name not in inputs]
        missing = [name for name in inner if name not in self._held]
        if missing:
            self._compute(missing)
        for name in inner:
            self._held[name] = self._held.pop(name)
        self._evict(len(inner))
        return inputs | {name: [self._shelf.get(item) for item in self._held[name]] for name in inner}

    def _compute(self, names: Sequence[str]) -> None:
        part = cone(self._graph, names, lambda tensor: tensor.name in self._held)
        reads = self.pieces(part.reads)
        for values in self._run(self._graph, set(part.nodes), reads, names):
            for name in names:
                self._held.setdefault(name, []).append(self._shelf.put(values[name]))

    def _run(
        self, graph: Graph, nodes: set[str], reads: Mapping[str, Sequence[Array]], names: Sequence[str]
    ) -> Iterator[dict[str, Array]]:
        session = self._runner.session(graph.part(nodes, reads, names))
        for place in range(len(self._feeds)):
            given = {name: values[place] for name, values in reads.items()}
            yield session.run(given)
            let_go(given.values())

    def _evict(self, spared: int) -> None:
        """Drop what was not used for longest, but not the last ``spared`` tensors."""
        total = sum(item.bytes for items in self._held.values() for item in items)
        for name in list(self._held)[: max(len(self._held) - spared, 0)]:
            if total <= _IN_ALL:
                return
            for item in self._held.pop(name):
                self._shelf.drop(item)
                total -= item.bytes


def _repeated(tensor: Tensor) -> bool:
    """Whether what makes a tensor runs again with its readers: it is fused or folded into them, or gives no array."""
    node = tensor.producer
    if node is None or node.op == _FUSED or node.op in _NOT_ARRAYS:
        return node is not None
    return all(t.is_constant for t in node.inputs if t.name)
