"""Whole groups of grouped convolutions: the partition of layers is Group Fisher's, and removal equals masking."""

from collections.abc import Iterable

import numpy as np
import onnx
import pytest
from oracle import graph_of, oracle_error, some
from zoo import ARCHITECTURES, ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager

LAYERS = ("Conv", "Gemm")


def bottleneck(b: Builder, x: str, inner: int, width: int, stride: int, group: int) -> str:
    """1x1, grouped 3x3, 1x1, and a projection where the shape changes."""
    body = b.conv_bn(b.conv_bn_relu(b.conv_bn_relu(x, inner, k=1), inner, stride=stride, group=group), width, k=1)
    same = stride == 1 and b.size(x) == width
    return b.relu(b.add(body, x if same else b.conv_bn(x, width, k=1, stride=stride)))


def regnet() -> onnx.ModelProto:
    """RegNetX: bottlenecks of ratio 1 whose groups are 8 channels wide in every stage."""
    b = Builder("regnet")
    h = b.conv_bn_relu(b.input("x", ["N", 3, 16, 16]), 16, stride=2)
    for width, stride in ((16, 2), (32, 2), (32, 1), (48, 1), (48, 1)):
        h = bottleneck(b, h, width, width, stride, width // 8)
    return b.model(b.head(h))


def resnet50() -> onnx.ModelProto:
    """Bottlenecks without groups."""
    b = Builder("resnet50")
    h = b.max_pool(b.conv_bn_relu(b.input("x", ["N", 3, 16, 16]), 16))
    for inner, width, stride in ((8, 32, 1), (8, 32, 1), (16, 48, 2), (16, 48, 1)):
        h = bottleneck(b, h, inner, width, stride, 1)
    return b.model(b.head(h))


NETWORKS = {
    "ResNet-18": ARCHITECTURES["resnet_projection"],
    "ResNet-50": resnet50,
    "ResNeXt": ARCHITECTURES["resnext"],
    "MobileNetV2": ARCHITECTURES["mobilenet_v2"],
    "RegNet": regnet,
}


def algorithm_1(model: onnx.ModelProto) -> set[frozenset[str]]:
    """Group layers that share masks on their inputs, as the paper's Algorithm 1 does it: by the layers before them."""
    made = {name: node for node in model.graph.node for name in node.output}
    layers = [node for node in model.graph.node if node.op_type in LAYERS]

    def before(names: Iterable[str]) -> set[str]:
        """Search from some tensors back to the nearest layers."""
        nodes = [made[name] for name in names if name in made]
        return {n.output[0] for n in nodes if n.op_type in LAYERS}.union(
            *(before(n.input) for n in nodes if n.op_type not in LAYERS)
        )

    parents = {node.output[0]: before(node.input[:1]) for node in layers}
    grouped = {n.output[0] for n in layers if any(a.name == "group" and a.i > 1 for a in n.attribute)}
    groups: list[tuple[set[str], set[str]]] = []  # layers, and the parents of all of them
    for layer, above in parents.items():
        found = next((group for group in groups if above & (group[1] | (grouped & group[0]))), None)
        if found is None:
            groups.append(({layer}, set(above)))
        else:
            found[0].add(layer)
            found[1].update(above)
    return {frozenset(members) for members, above in groups if above}


def ours(graph: Graph) -> set[frozenset[str]]:
    """Group layers by the group of channels that they read."""
    channels = analyse(graph)
    found: dict[str, set[str]] = {}
    for node in (node for node in graph.nodes if node.op in LAYERS):
        labels = channels.context.labels.get(node.inputs[0].name)
        if labels is not None:
            (name,) = (group.name for group in channels.groups if np.isin(labels.atoms, group.cells).all())
            found.setdefault(name, set()).add(node.outputs[0].name)
    return set(map(frozenset, found.values()))


def bound(model: onnx.ModelProto) -> Graph:
    graph = graph_of(model)
    PassManager.parse("bind-groups").run(graph, Context(OrtRunner(1), graph.copy()))
    return graph


@pytest.mark.parametrize("name", NETWORKS)
def test_the_partition_is_that_of_algorithm_1(name: str) -> None:
    model = NETWORKS[name]()
    wanted = algorithm_1(model)
    assert ours(bound(model)) == wanted
    assert max(map(len, wanted)) > 1  # a stream that several layers read
    if name in ("ResNeXt", "RegNet"):
        assert ours(graph_of(model)) != wanted  # of every group equally many channels: inputs and outputs apart


@pytest.mark.parametrize(
    "name", ["resnext", "grouped_conv", "grouped_four_then_six", "grouped_residual", "channel_shuffle_flat"]
)
def test_removing_whole_groups_equals_masking(name: str) -> None:
    model = ZOO[name]()
    graph = bound(model)
    channels = analyse(graph)
    for seed in range(3):
        kept = some(channels, np.random.default_rng(seed))
        assert oracle_error(graph, channels, kept, feeds(model, seed=0)) < 1e-5


def test_groups_go_and_stay_as_wide_as_they_are() -> None:
    model = regnet()
    graph = graph_of(model)
    context = Context(OrtRunner(1), graph.copy(), Calibration.from_arrays(feeds(model, 0, 24)))
    choose = "select-channels{criterion=fisher},allocate{target=macs=0.5x,allocation=greedy}"
    PassManager.parse(f"bind-groups,{choose},remove-channels,reconstruct,free-groups").run(graph, context)
    grouped = [node for node in graph.nodes if node.op == "Conv" and node.inputs[1].array.shape[2] == 3][1:]
    assert all(node.inputs[1].array.shape[1] == 8 for node in grouped)
    counts = [node.attribute("group", graph.opset, 1) for node in grouped]
    assert sum(counts) < 2 + 4 + 4 + 6 + 6 and min(counts) >= 1
    assert not any(graph.metadata.values())
    OrtRunner(1).session(graph).run(feeds(model, 0, 2))
