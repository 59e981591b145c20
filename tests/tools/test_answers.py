"""The original is run once on each batch, however many models are held against it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from oracle import graph_of
from zoo import ZOO

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.graph import Array, Graph
from optimise_onnx.tools.answers import Answers


@dataclass
class Counting:
    """A runner that counts the runs of its sessions."""

    runs: list[Any] = field(default_factory=list)

    def session(self, graph: Graph, *, outputs: Sequence[str] | None = None, exact: bool = False) -> Any:
        session = OrtRunner(1).session(graph, outputs=outputs, exact=exact)
        counted = type("Counted", (), {})()
        counted.run = lambda feeds: self.runs.append(0) or session.run(feeds)
        return counted


@pytest.fixture
def batches() -> list[dict[str, Array]]:
    rng = np.random.default_rng(0)
    (x,) = graph_of(ZOO["mlp"]()).inputs
    shape = [4, *(size for size in x.shape or () if isinstance(size, int))]
    return [{x.name: rng.normal(size=shape).astype(np.float32)} for _ in range(3)]


def test_every_batch_runs_once_and_gives_the_same(batches: list[dict[str, Array]]) -> None:
    graph, runner = graph_of(ZOO["mlp"]()), Counting()
    names = [tensor.name for tensor in graph.outputs]
    known = Answers(graph, runner)  # type: ignore[arg-type]
    wanted = [OrtRunner(1).session(graph).run(batch) for batch in batches]
    for _ in range(2):
        for batch, own in zip(batches, wanted, strict=True):
            found = known.to(names).run({name: array.copy() for name, array in batch.items()})
            assert all((found[name] == own[name]).all() for name in names)
            found[names[0]][:] = 0  # as a metric might
    assert len(runner.runs) == 3
    changed = {name: array + np.float32(1) for name, array in batches[0].items()}
    assert (known.to(names).run(changed)[names[0]] != wanted[0][names[0]]).any() and len(runner.runs) == 4


def test_what_finds_no_room_is_run_again(batches: list[dict[str, Array]]) -> None:
    graph, runner = graph_of(ZOO["mlp"]()), Counting()
    names = [tensor.name for tensor in graph.outputs]
    size = sum(array.nbytes for array in OrtRunner(1).session(graph).run(batches[0]).values())
    known = Answers(graph, runner, _room=size)  # type: ignore[arg-type]
    for _ in range(2):
        for batch in batches:
            known.to(names).run(batch)
    assert len(runner.runs) == 1 + 2 * 2
