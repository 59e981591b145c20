"""What goes together: any choice from random candidates keeps the graph whole and is exact by the zero-mask oracle."""

import numpy as np
import pytest

from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.cleanup.choice import choose, kept
from tests.oracle import graph_of, oracle_error
from tests.zoo import ZOO, feeds
from tests.zoo.builder import Builder

NAMES = sorted(ZOO)


@pytest.mark.parametrize("name", NAMES[::3])
def test_a_choice_among_random_candidates_can_be_removed(name: str) -> None:
    model = ZOO[name]()
    graph = graph_of(model)
    channels = analyse(graph)
    rng = np.random.default_rng(0)
    sets = np.full(channels.context.registry_size(), -1)
    for group in channels.groups:
        sets[group.cells] = rng.integers(-1, 2, group.cells.shape)
    for needed in (False, True):
        gone = choose(channels, sets, needed)
        assert not (gone & (sets < 0)).any()
        assert oracle_error(graph, channels, kept(channels, gone), feeds(model, 0)) < 1e-5
        if needed:
            assert not any((sets == one).any() and gone[sets == one].all() for one in (0, 1))


def test_unequal_cells_lose_what_equal_counts_allow() -> None:
    graph = graph_of(ZOO["grouped_conv"]())
    channels = analyse(graph)
    group = next(group for group in channels.groups if len(group.cells) > 1)
    sets = np.full(channels.context.registry_size(), -1)
    sets[group.cells[0]] = 0
    assert not choose(channels, sets, needed=False).any()
    sets[group.cells[1:, :2]] = 0
    assert choose(channels, sets, needed=False)[group.cells].sum(1).tolist() == [2] * len(group.cells)


def test_what_is_left_is_a_multiple_with_equal_counts_too() -> None:
    graph = graph_of(ZOO["grouped_conv"]())
    channels = analyse(graph)
    group = next(group for group in channels.groups if len(group.cells) > 1)
    sets = np.full(channels.context.registry_size(), -1)
    sets[group.cells[:, :3]] = 0
    blocks, width = group.cells.shape
    for multiple, gone in ((1, 3), (blocks, 3), (2 * blocks, 3 - (width - 3) % 2), (blocks * width, 0)):
        assert choose(channels, sets, False, lambda m=multiple: m)[group.cells].sum(1).tolist() == [gone] * blocks


def test_what_equal_counts_do_not_allow_leaves_all() -> None:
    """Three blocks of four channels: with two of each gone six are left; twelve is the next multiple of eight."""
    b = Builder("blocks")
    h = b.conv_relu(b.input("x", ["N", 3, 4, 4]), 12)
    graph = graph_of(b.model(b.conv(b.conv_relu(h, 24, group=3), 5)))
    channels = analyse(graph)
    group = next(group for group in channels.groups if group.cells.shape == (3, 4))
    sets = np.full(channels.context.registry_size(), -1)
    sets[group.cells[:, :2]] = 0
    for multiple, left in ((1, 6), (4, 12), (8, 12), (9, 9), (2, 6)):
        gone = choose(channels, sets, False, lambda m=multiple: m)
        assert 12 - int(gone.sum()) == left


def test_one_class_of_every_tensor_stays() -> None:
    graph = graph_of(ZOO["split_unequal"]())
    channels = analyse(graph)
    gone = choose(channels, np.zeros(channels.context.registry_size(), np.int64), needed=False)
    assert gone.any() and all(not gone[floor].all() for floor in channels.floors)
