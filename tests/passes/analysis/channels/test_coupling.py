"""The coupling graph says the same as the analysis: its components are the groups, and every kept channel has a pin."""

import networkx as nx
import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from oracle import graph_of
from zoo import ARCHITECTURES, STRUCTURES, ZOO
from zoo.builder import Builder
from zoo.grammar import networks

from optimise_onnx.passes.analysis.channels.coupling import Place
from optimise_onnx.passes.analysis.channels.groups import Channels, analyse
from optimise_onnx.passes.analysis.channels.labels import rows

_EVERY = 6
Found = nx.MultiGraph  # of places


def coupling_of(model: onnx.ModelProto) -> Found:
    return analyse(graph_of(model)).coupling()


def agrees(model: onnx.ModelProto) -> None:
    """Check every component against the groups, and that all free channels of every tensor are in the graph."""
    channels = analyse(graph_of(model))
    found = channels.coupling()
    owner = {member: group.name for group in channels.groups for member in group.cells.ravel().tolist()}
    seen = []
    for component in nx.connected_components(found):
        if any(found.nodes[place]["free"] for place in component):
            members = {member for place in component for member in classes(channels, found, place)}
            (group,) = {owner[member] for member in members}
            seen.append(group)
        else:
            assert any(found.nodes[place]["pins"] for place in component), component
    assert sorted(seen) == sorted(group.name for group in channels.groups)
    for tensor, labels in channels.context.labels.items():
        places = [place for place in found if place.tensor == tensor and found.nodes[place]["free"]]
        indices = sorted(index for place in places for index in found.nodes[place]["indices"])
        assert sorted(set(indices)) == np.flatnonzero(rows(labels).any(0)).tolist()


def classes(channels: Channels, found: Found, place: Place) -> set[int]:
    ctx = channels.context
    layers = ctx.slices.get(place.tensor) or [ctx.labels[place.tensor]]
    (layer,) = [layer for layer in layers if layer.shrink == place.axis]
    return set(rows(layer)[:, found.nodes[place]["indices"]].ravel().tolist()) - {0}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_components_are_the_groups_of_a_network(name: str) -> None:
    agrees(ZOO[name]())


def test_components_are_the_groups_of_many_structures() -> None:
    for name in list(STRUCTURES)[::_EVERY]:
        agrees(STRUCTURES[name]())


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_components_are_the_groups_of_random_networks(model: onnx.ModelProto) -> None:
    agrees(model)


def test_an_edge_names_node_operator_and_reason() -> None:
    b = Builder("residual")
    h = b.conv_relu(b.input("x", ["N", 3, 4, 4]), 8)
    found = coupling_of(b.model(b.head(b.add(b.conv(h, 8), h))))
    part = "conv_0_out"
    ties = found.get_edge_data(Place("conv_1_out", 1, part), Place("relu_0_out", 1, part))
    assert ties == {"add_0": {"node": "add_0", "op": "Add", "why": "its operands are added element by element"}}
    passed = found.get_edge_data(Place("conv_0_out", 1, part), Place("relu_0_out", 1, part))
    assert passed == {"relu_0": {"node": "relu_0", "op": "Relu", "why": "it passes channels on"}}


def test_a_convolution_inside_a_residual_block_ties_nothing_itself() -> None:
    """Its input and its output lose the same channels, and its weight is sliced twice: all through the Add alone."""
    b = Builder("square")
    h = b.conv_relu(b.input("x", ["N", 3, 4, 4]), 8)
    found = coupling_of(b.model(b.head(b.add(b.conv(h, 8), h))))
    part = "conv_0_out"
    sides = {axis: set(found[Place("weight_1", axis, part)]) for axis in (0, 1)}
    assert sides[0] == {Place("conv_1_out", 1, part), Place("bias_1", 0, part)}
    assert sides[1] == {Place("relu_0_out", 1, part)}


def test_a_concatenation_couples_no_two_of_its_parts() -> None:
    b = Builder("joined")
    x = b.input("x", ["N", 3, 4, 4])
    found = coupling_of(b.model(b.head(b.conv(b.concat(b.conv(x, 4), b.conv(x, 5)), 6))))
    first, second = (Place("concat_0_out", 1, f"conv_{number}_out") for number in (0, 1))
    assert found.nodes[first]["indices"] == (0, 1, 2, 3)
    assert found.nodes[second]["indices"] == (4, 5, 6, 7, 8)
    assert not nx.has_path(found, first, second)


def test_ends_of_channels_are_named() -> None:
    b = Builder("chain")
    h = b.conv_relu(b.input("x", ["N", 3, 4, 4]), 4)
    found = coupling_of(b.model(b.head(b.conv(h, 6, group=2))))
    made = found.nodes[Place("conv_0_out", 1, "conv_0_out")]
    read = found.nodes[Place("relu_0_out", 1, "conv_0_out")]
    assert made["made_by"] == ("conv_0",)
    assert (read["read_by"], read["balanced_by"]) == (("conv_1",), ("conv_1",))
    assert found.nodes[Place("weight_0", 0, "conv_0_out")]["stored"] and not made["stored"]
