"""The least score for what is saved goes first: against an obvious loop, on networks, by several quantities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import graph_of
from zoo import ARCHITECTURES, ZOO
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.graph import Array, Graph
from optimise_onnx.passes.allocate.by_score import cheapest_first
from optimise_onnx.passes.allocate.cost_model import CostModel, Term
from optimise_onnx.passes.analysis.costs.activations import ACTIVATIONS
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager
from tests.passes.allocate.devices import Staircase, ranked, share


def slowly(levels: list[Array], curves: list[Array], price: CostModel, cost: CostModel, budget: float) -> Array | None:
    """Price every single step anew."""
    kept = [level.tolist() for level in levels]
    now = np.array([level.pop(0) for level in kept])
    while cost(now) > budget:
        steps = []
        for place, level in enumerate(kept):
            if level:
                after = now.copy()
                after[place] = level[0]
                lost = curves[place][len(curves[place]) - 1 - after[place]] - curves[place][-1 - now[place]]
                steps.append((lost / (price(now) - price(after)), place))
        if not steps:
            return None
        _, chosen = min(steps)
        now[chosen] = kept[chosen].pop(0)
    return now


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1.0))
def test_as_an_obvious_loop(seed: int, left: float) -> None:
    rng = np.random.default_rng(seed)
    widths, steps = rng.integers(2, 9, 4), rng.integers(1, 3, 4)
    levels = [
        np.array([k for k in range(w, 0, -1) if k == w or k % s == 0]) for w, s in zip(widths, steps, strict=True)
    ]
    curves = [np.append(0.0, np.cumsum(rng.uniform(0, 1, width))) for width in widths]
    unit = np.eye(4)
    terms = [Term(rng.uniform(1, 9), unit[k - 1] if k else 0 * unit[0], 0.0 if k else 3.0, unit[k]) for k in range(4)]
    cost, price = CostModel.of(terms, 4), CostModel.of(terms[::-1][:3] + [Term(2.0, np.ones(4))], 4)
    budget = left * cost(widths)
    found, wanted = cheapest_first(levels, curves, price, cost, budget), slowly(levels, curves, price, cost, budget)
    assert (found is None) == (wanted is None)
    assert found is None or wanted is None or (found == wanted).all()


def test_where_no_channel_may_go() -> None:
    price = CostModel.of([], 0, 3.0)
    assert cheapest_first([], [], price, price, 2.0) is None


def shrunk(options: str) -> Graph:
    """Shrink a network by weights alone."""
    graph = graph_of(ARCHITECTURES["resnet_projection"]())
    context = Context(OrtRunner(1), graph.copy())
    select = "select-channels{criterion=magnitude}"
    PassManager.parse(f"{select},allocate{{allocation=greedy,{options}}},remove-channels").run(graph, context)
    return graph


def widths(graph: Graph) -> list[int]:
    return [node.inputs[1].array.shape[0] for node in graph.nodes if node.op == "Conv"]


def test_what_scores_are_divided_by_decides_who_loses() -> None:
    whole = ACTIVATIONS.of(graph_of(ARCHITECTURES["resnet_projection"]()))
    found = {per: shrunk(f"target=activations=0.6x,per={per}") for per in ("activations", "macs", "none")}
    for graph in found.values():
        assert 0.55 * whole < ACTIVATIONS.of(graph) <= 0.6 * whole
    assert len({tuple(widths(graph)) for graph in found.values()}) == 3
    counts = {per: sum(widths(graph)) for per, graph in found.items()}
    assert counts["activations"] > counts["none"]  # maps of many positions pay most, so fewer channels go


@pytest.mark.parametrize(("per", "said"), [("peak-memory", "no sum over layers"), ("beauty", "no quantity is called")])
def test_what_scores_cannot_be_divided_by(per: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        shrunk(f"target=macs=0.6x,per={per}")


def test_a_target_of_time_is_met_and_scores_are_divided_by_it() -> None:
    device = Staircase()
    graph, context = ranked(ZOO["vgg_gap"](), device, 0)
    choose = "select-channels{criterion=magnitude},allocate{target=latency=0.6x,allocation=greedy,per=latency}"
    PassManager.parse(f"{choose},remove-channels").run(graph, context)
    assert 0.4 < share(device, graph, context.original) <= 0.6


def test_activations_are_what_layers_write() -> None:
    b = Builder("activations")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 4, stride=2)
    model = b.model(b.head(b.depthwise(h), 5))
    assert ACTIVATIONS.of(graph_of(model)) == 4 * 16 + 4 * 16 + 5
