"""The oracle on networks drawn from a grammar: any choice of channels is carried out exactly, or refused untouched."""

import numpy as np
import onnx
from hypothesis import HealthCheck, given, settings
from oracle import Kept, distance, graph_of, half, oracle_error, removed, some
from zoo import feeds
from zoo.grammar import networks

from optimise_onnx.ir.errors import PreconditionError
from optimise_onnx.passes.analysis.channels.groups import Channels, analyse
from optimise_onnx.passes.analysis.channels.masking import masked
from optimise_onnx.passes.analysis.channels.removal import remove

TOLERANCE = 1e-4  # random networks may cancel
often = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@often
@given(networks())
def test_units_of_every_group_can_go(model: onnx.ModelProto) -> None:
    graph, inputs = graph_of(model), feeds(model, seed=0)
    channels = analyse(graph)
    for seed in range(2):
        kept = some(channels, np.random.default_rng(seed))
        assert oracle_error(graph, channels, kept, inputs) < TOLERANCE


@often
@given(networks())
def test_a_pruned_network_can_be_pruned_again(model: onnx.ModelProto) -> None:
    graph, inputs, rng = graph_of(model), feeds(model, seed=0), np.random.default_rng(0)
    channels = analyse(graph)
    pruned = removed(graph, channels, half(channels, rng))
    again = analyse(pruned)
    assert oracle_error(pruned, again, some(again, rng), inputs) < TOLERANCE


@often
@given(networks())
def test_any_choice_is_exact_or_refused_untouched(model: onnx.ModelProto) -> None:
    graph, inputs, rng = graph_of(model), feeds(model, seed=0), np.random.default_rng(0)
    channels = analyse(graph)
    for _ in range(3):
        kept = anything(channels, rng)
        copy = graph.copy()
        try:
            remove(copy, channels, kept)
        except PreconditionError:
            assert copy.to_model() == graph.to_model()
            continue
        assert distance(masked(graph, channels, kept), copy, inputs) < TOLERANCE


def anything(channels: Channels, rng: np.random.Generator) -> Kept:
    """Keep each channel of about half of the groups with three chances in four, cells or not."""
    chosen = [group for group in channels.groups if rng.random() < 0.5]
    return {group.name: group.cells[rng.random(group.cells.shape) < 0.75] for group in chosen}
