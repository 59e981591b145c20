"""Walk a graph layer by layer over all samples: every node runs once, only live tensors are held, large on disk."""

from collections.abc import Iterator, Sequence
from types import TracebackType

from ....ir.feeds import Calibration, batch_size
from ....ir.graph import Array, Graph, Node
from ....ir.mapped import let_go
from ....ir.runner import Runner
from .spill import Shelf, Shelved

_IN_MEMORY = 2**27  # bytes of values: most are read once more only, soon


class Stepper:
    """Values of chosen tensors, computed in the order asked for. Use as a context manager: it may hold files.

    Between two steps the caller may edit nodes that have not run yet.
    """

    def __init__(self, graph: Graph, calibration: Calibration, runner: Runner, batch: int) -> None:
        self._graph, self._runner = graph, runner
        self._shelf = Shelf(_IN_MEMORY)
        self._values: dict[str, list[Shelved]] = {}
        self._done: set[Node] = set()
        names = [tensor.name for tensor in graph.inputs]
        for number, feeds in enumerate(calibration.batches(batch_size(graph, batch))):
            for name in names:
                self._values.setdefault(name, []).append(self._shelf.put(feeds[name]))
            self._pieces = number + 1

    def __enter__(self) -> "Stepper":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._values.clear()
        self._shelf.close()

    def advance(self, names: Sequence[str]) -> None:
        """Run every node that the named tensors need and that has not run yet."""
        todo = self._needed(names)
        if todo:
            self._run({node.name for node in todo}, self._live(todo, names))
            self._done |= todo
        self._forget(names)

    def has(self, name: str) -> bool:
        """Whether a tensor's values are at hand."""
        return name in self._values

    def pieces(self, name: str) -> Iterator[Array]:
        """Yield a tensor batch by batch. It must be an input, or named in a step and still needed or just computed."""
        yield from map(self._shelf.get, self._values[name])

    def _needed(self, names: Sequence[str]) -> set[Node]:
        tensors = self._graph.tensors()
        todo: set[Node] = set()
        stack = [tensors[name] for name in names if name not in self._values]
        while stack:
            producer = stack.pop().producer
            if producer is None or producer in self._done or producer in todo:
                continue
            todo.add(producer)
            reads = (*producer.inputs, *producer.captures())
            stack += [t for t in reads if not t.is_constant and t.name not in self._values]
        return todo

    def _live(self, todo: set[Node], names: Sequence[str]) -> list[str]:
        """Name what this step must return: what was asked for, and what nodes of later steps read."""
        after = self._done | todo
        made = [t for node in self._graph.nodes if node in todo for t in node.outputs if t.name]
        return [t.name for t in made if t.name in names or any(c not in after for c in t.consumers)]

    def _run(self, todo: set[str], live: list[str]) -> None:
        reads = {name: [self._shelf.get(item) for item in items] for name, items in self._values.items()}
        part = self._graph.part(todo, reads, live)
        session = self._runner.session(part)
        names = [tensor.name for tensor in part.inputs]
        for piece in range(self._pieces):
            given = {name: reads[name][piece] for name in names}
            for name, value in session.run(given).items():
                self._values.setdefault(name, []).append(self._shelf.put(value))
            let_go(given.values())

    def _forget(self, names: Sequence[str]) -> None:
        tensors = self._graph.tensors()
        for name in list(self._values):
            readers = tensors[name].consumers if name in tensors else []
            if name not in names and all(reader in self._done for reader in readers):
                for item in self._values.pop(name):
                    self._shelf.drop(item)
