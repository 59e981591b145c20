"""The two devices: onnxruntime on this machine, really timed but with generous bounds, and a user's command."""

from pathlib import Path

import numpy as np
import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.backends.latency.command import Command
from optimise_onnx.backends.latency.execution import Execution
from optimise_onnx.backends.latency.local import LocalDevice
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.timing import Device, Latency


def network(width: int) -> Graph:
    """Convolutions with activations, a residual sum and a product."""
    b = Builder("device")
    x = b.conv_relu(b.input("x", ["N", 3, 32, 32]), width)
    x = b.relu(b.add(b.conv(b.conv_relu(x, width), width), x))
    return graph_of(b.model(b.head(x)))


@pytest.fixture
def here(tmp_path: Path) -> Device:
    return LocalDevice(Execution(), tmp_path)


def test_a_larger_network_takes_longer(here: Device) -> None:
    small, large = here.times([network(8), network(64)])
    assert 0 < 2 * small < large  # about twenty times


@pytest.mark.timed
def test_models_are_held_against_each_other(here: Device) -> None:
    found = here.compare(network(64), network(8))
    assert found.before > 0 and 0 < found.ratio.low <= found.ratio.middle <= found.ratio.high < 0.5


def test_shares_are_of_rounds(here: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = np.array([1.0, 9.0, 1.0, 9.0, 9.0, 9.0, 1.0])  # the first model is held up in most rounds
    fast = np.array([0.5, 4.5, 0.5, 0.5, 4.5, 4.5, 0.5])  # the other one in fewer
    wall = np.stack([slow, fast], axis=1)[:, None].repeat(2, axis=1)
    monkeypatch.setattr(OrtRunner, "latency", lambda *_: Latency(wall, None, 3))
    before, after = here.times([network(8), network(4)])
    assert np.median(fast) / np.median(slow) == pytest.approx(0.5 / 9)
    assert (before, after / before) == (pytest.approx(9), pytest.approx(0.5))


def test_layers_are_nodes_of_the_graph_and_sum_to_about_the_run(here: Device) -> None:
    graph = network(64)
    found = here.layers(graph)
    nodes = {node.name: node.op for node in graph.nodes}
    assert found.keys() <= nodes.keys()
    convolutions = [name for name, op in nodes.items() if op == "Conv"]
    assert all(found[name] > 0 for name in convolutions)
    total = sum(found.values())
    (whole,) = here.times([graph])
    assert 0.3 * whole < total < 3 * whole
    assert sum(found[name] for name in convolutions) > 0.5 * total


def test_the_multiple_is_a_power_of_two(here: Device) -> None:
    found = here.multiple()
    assert found in (1, 2, 4, 8, 16, 32, 64)
    assert here.multiple() == found  # from the table


def test_a_forecast_orders_widths(here: Device) -> None:
    timer = here.forecast(network(32), [network(16), network(24)])
    small, large = timer.times([network(8), network(32)])
    assert 0 < small < large


def test_a_command_tells_no_layers_and_is_its_own_forecast() -> None:
    device: Device = Command("measure {model}")
    assert device.layers(network(8)) == {}
    assert device.forecast(network(8), [network(4)]) is device


@pytest.mark.parametrize("tread", [1, 8])
def test_the_multiple_of_a_command(tread: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the weights of the convolutions that it is asked about, in blocks of some channels."""

    def times(_device: Command, graphs: list[Graph]) -> list[float]:
        shapes = [[t.array.shape[:2] for t in graph.constants()] for graph in graphs]
        return [float(sum(-(-out // tread) * -(-into // tread) for out, into in each)) for each in shapes]

    monkeypatch.setattr(Command, "times", times)
    assert Command("measure {model}").multiple() == tread
