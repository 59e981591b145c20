"""The cost written over widths is the cost of the really pruned graph, whatever units stay."""

import numpy as np
import pytest
from oracle import graph_of, known
from zoo import ARCHITECTURES, ZOO
from zoo.builder import Builder

from optimise_onnx.ir.cost import cost, total
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.channels.removal import remove
from optimise_onnx.passes.analysis.costs.products import bias_products, cost_products, evaluate

# How many channels a tensor loses depends on which classes of a cell go, not only on how many.
BY_CHOICE = {"grouped_concat_border", "gather_subset"}
# Rewriting adds or shortens index lists, which are bytes though no parameters.
INDICES = {
    "vit",  # the shape of its class token is computed
    "gather_permutation",
    "gqa_rope",
    "group_norm_single",
    "gru_last_state",
    "shape_flatten",
    "rope_rotate_half",
    "slice_int_max",
    "slice_negative_ends",
    "slice_step_two",
    "split_default_sizes",
    "split_num_outputs",
}


NUMBERS = 3  # that a norm of fewer channels stores


def test_cost_of_random_widths() -> None:
    for name in sorted(ZOO.keys() - BY_CHOICE):
        check_costs(name)


def check_costs(name: str) -> None:
    _, graph, channels = known(name)
    kinds = [kind for kind in ("macs", "params", "bytes") if kind != "bytes" or name not in INDICES]
    products = {kind: cost_products(graph, channels, kind) for kind in kinds}
    rng = np.random.default_rng(0)
    numbers = sum(end.statistic for end in channels.context.contractions) * NUMBERS
    slack = {"macs": 0, "params": numbers, "bytes": 4 * numbers}
    for whole in (True, False):
        counts = [group.width if whole else int(rng.integers(1, group.width + 1)) for group in channels.groups]
        kept = {
            group.name: np.concatenate([rng.choice(cell, count, replace=False) for cell in group.cells])
            for group, count in zip(channels.groups, counts, strict=True)
        }
        copy = graph.copy()
        remove(copy, channels, kept)
        found = total(cost(copy))
        real = {"macs": found.macs, "params": found.parameters, "bytes": found.bytes}
        for kind in kinds:
            off = 0.05 if channels.context.copies else 1e-9  # how many copies there will be is not known
            wanted = pytest.approx(real[kind], rel=off, abs=0 if whole else slack[kind])
            assert evaluate(products[kind], np.array(counts, float)) == wanted, (name, kind)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_the_whole_network_costs_what_it_costs(name: str) -> None:
    _, graph, channels = known(name)
    everything = np.array([group.width for group in channels.groups], float)
    whole = total(cost(graph))
    assert evaluate(cost_products(graph, channels, "macs"), everything) == pytest.approx(whole.macs)
    assert evaluate(cost_products(graph, channels, "params"), everything) == pytest.approx(whole.parameters)


def test_what_no_output_needs_costs_nothing() -> None:
    b = Builder("unread")
    x = b.input("x", ["N", 4])
    b.gemm(x, 100)
    graph = graph_of(b.model(b.gemm(x, 6)))
    channels = analyse(graph)
    everything = np.array([group.width for group in channels.groups], float)
    assert evaluate(cost_products(graph, channels, "params"), everything) == 30


@pytest.mark.parametrize("kind", ["params", "bytes"])
def test_biases_that_may_be_added(kind: str) -> None:
    """Solving every layer anew adds at most what was said: here exactly, for all of them can be written."""
    b = Builder("bare")
    x = b.conv(b.input("x", ["N", 3, 6, 6]), 8, bias=False)
    x = b.matmul(b.flatten(b.relu(b.conv(x, 6))), 12, bias=False)
    graph = graph_of(b.model(b.gemm(b.relu(x), 5)))
    channels = analyse(graph)
    added = bias_products(graph, channels, kind)
    assert not bias_products(graph, channels, "macs")
    everything = np.array([group.width for group in channels.groups], float)
    assert evaluate(added, everything) == (8 + 12) * (1 if kind == "params" else 4)
    assert evaluate(added, everything - 1) == (7 + 11) * (1 if kind == "params" else 4)
