"""The multiple that widths keep where that is left to the device: coarse where time pays for it, else finer."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx
import pytest
from zoo.builder import Builder

from optimise_onnx.ir.cost import cost, total
from optimise_onnx.ir.errors import TargetNotMetError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.allocate.allocate import Allocate
from optimise_onnx.passes.allocate.multiples import paying
from optimise_onnx.passes.allocate.problem import Widths
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import apply

from .devices import Staircase, finished, kept, ranked


@dataclass
class Table:
    """Tells prices and times of multiples: a graph is its multiple here."""

    costs: dict[int, float]
    seconds: dict[int, float]

    def price(self, widths: Widths) -> tuple[float, Graph]:
        return self.costs[widths.align], widths.align  # type: ignore[return-value]

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        return [self.seconds[int(graph)] for graph in graphs]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("costs", "seconds", "align", "said"),
    [
        ({8: 0.99}, {}, 8, ""),
        ({8: 0.93, 4: 0.95, 2: 0.99}, {8: 1.0, 2: 1.0}, 2, "take 1.000 of the time, so multiples of 2 were taken"),
        ({8: 0.93, 4: 0.99}, {8: 0.93, 4: 1.0}, 4, "multiples of 8 cost 0.939 of what finer ones do, and take 0.930"),
        ({8: 0.93, 4: 0.99}, {8: 0.8, 4: 1.0}, 8, "take 0.800 of the time, so they stay"),
        ({8: 0.93, 4: 0.93, 2: 0.93, 1: 0.93}, {}, 8, ""),
        ({8: 1.2, 4: 1.1, 2: 0.99}, {}, 2, "multiples of 8 do not reach the target, so multiples of 2 were taken"),
        ({8: 1.2, 4: 1.2, 2: 1.2, 1: 1.2}, {}, 8, ""),
        ({1: 0.5}, {}, 1, ""),
    ],
)
def test_the_rule(costs: dict[int, float], seconds: dict[int, float], align: int, said: str) -> None:
    table = Table(costs, seconds)
    found, note = paying(Widths(max(costs), 1.0, halved=True), table.price, table)
    assert found.align == align and found.halved and said in note and bool(said) == bool(note)


def narrow() -> onnx.ModelProto:
    """Two groups of eight channels."""
    b = Builder("narrow")
    x = b.conv_bn_relu(b.conv_bn_relu(b.input("x", [1, 3, 16, 16]), 8), 8)
    return b.model(b.head(x))


def chosen(device: Staircase, target: str, **options: bool) -> tuple[Graph, Context, tuple[str, ...]]:
    graph, shared = ranked(narrow(), device, 0)
    outcome = apply(Allocate(target, align=0, **options), graph, shared)
    return finished(graph, shared), shared, outcome.notes


def test_where_no_time_is_won_the_target_is_not_overshot() -> None:
    """A tread of one: any channel less is as much less time."""
    device = Staircase(tread=1, node=0.0)
    device.multiple = lambda: 8  # type: ignore[method-assign]
    graph, shared, notes = chosen(device, "macs=0.8x")
    share = total(cost(graph)).macs / total(cost(shared.original)).macs
    assert 0.77 < share <= 0.8
    assert "multiples of 8 cost" in notes[1] and "were taken" in notes[1]


def test_where_time_pays_the_multiples_stay() -> None:
    """A tread of four: five channels take the time of eight."""
    _, shared, notes = chosen(Staircase(tread=4, node=0.0), "macs=0.55x")
    assert all(stay % 2 == 0 for stay, _ in kept(shared).values())
    assert len(notes) == 1 or "so they stay" in notes[1]


def test_what_multiples_do_not_reach_finer_ones_may() -> None:
    device = Staircase(tread=1, node=0.0)
    device.multiple = lambda: 8  # type: ignore[method-assign]
    graph, shared, notes = chosen(device, "macs=0.1x")
    assert total(cost(graph)).macs <= 0.1 * total(cost(shared.original)).macs
    assert "multiples of 8 do not reach the target" in notes[1]
    with pytest.raises(TargetNotMetError, match="cannot be reached"):
        chosen(device, "macs=0.001x")
    chosen(device, "macs=0.001x", allow_partial=True)
