"""Folding: exact where survivors determine what went, written where it belongs, and better step by step otherwise."""

from dataclasses import replace
from functools import cache
from typing import Any

import digits
import numpy as np
import pytest
from numpy.typing import NDArray
from oracle import distance, graph_of
from zoo import ARCHITECTURES, ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.cost import cost, total
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.masking import masked
from optimise_onnx.passes.analysis.channels.ranking import GroupRanking, Ranking
from optimise_onnx.passes.analysis.channels.readers import Reader
from optimise_onnx.passes.analysis.layers.linear import stored_weight
from optimise_onnx.passes.analysis.layers.writing import stored_bias, write_bias, write_weight
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager, apply
from optimise_onnx.passes.plan import Decision, Plan
from optimise_onnx.passes.reconstruct.fold_channels import WAYS, FoldChannels, _Fold, folded
from optimise_onnx.passes.reconstruct.substitution import choose_partners, survivor_shares
from optimise_onnx.passes.select.remove_channels import RemoveChannels
from optimise_onnx.passes.select.select_channels import SelectChannels

Array = NDArray[Any]


def reader(x: Array, unit: Array, outputs: int = 3) -> Reader:
    """A reader of rows (n, d) with random weights."""
    weight = np.random.default_rng(9).standard_normal((x.shape[1], outputs))
    return Reader("layer", 0, weight, unit, x.mean(0), np.cov(x.T, bias=True))


def error(one: Reader, weight: Array, x: Array) -> float:
    """Largest change of the output, the bias taking up the mean."""
    change = (x - x.mean(0)) @ (weight - one.weight)
    return float(np.abs(change).max())


def affine_channels() -> tuple[Array, Array, Array]:
    """Rows of five channels with two taps; 3 copies 0 with another gain a tap, 4 mixes 1 and 2, both are shifted."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 5, 2))
    x[:, 3] = x[:, 0] * [2, -3] + 7
    x[:, 4] = x[:, 1] - 2 * x[:, 2] + 1
    return x.reshape(400, 10), np.repeat(np.arange(5), 2), np.array([True, True, True, False, False])


def test_what_each_way_makes_up_for() -> None:
    x, unit, stays = affine_channels()
    one = reader(x, unit)
    for way, gone, exact in (("mean", 3, False), ("partner", 3, True), ("survivors", 4, True), ("partner", 4, False)):
        here = np.arange(5) != gone
        (weight,) = folded([one], here[None], way)
        assert not weight[unit == gone].any()
        assert (error(one, weight, x) < 1e-2) == exact, way
    assert choose_partners([one], stays).tolist()[:4] == [-1, -1, -1, 0]


def test_a_channel_without_a_partner_goes_into_the_mean() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 4))
    x[:, 1], x[:, 2] = 5, x[:, 0] + 0.1 * x[:, 2]
    stays = np.array([True, False, False, True])
    assert choose_partners([reader(x, np.arange(4))], stays).tolist() == [-1, -1, 0, -1]


def test_shares_are_the_regression_on_survivors() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6))
    stays = np.array([True, False, True, True, False, True])
    found = survivor_shares([reader(x, np.arange(6))], np.arange(6), stays)
    rest = x - x.mean(0)
    wanted = np.linalg.lstsq(rest[:, stays], rest[:, ~stays], rcond=None)[0].T
    np.testing.assert_allclose(found, wanted, atol=2e-2)


def test_the_shares_are_the_same_for_every_reader() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 4)) @ rng.standard_normal((4, 4))
    two = [reader(x, np.arange(4)), reader(10 * x[:, ::-1], np.arange(4)[::-1])]
    new = folded(two, np.array([[True, True, False, True]]), "survivors")
    left, right = (
        np.linalg.lstsq(r.weight[r.unit == 2].T, (w - r.weight)[r.unit != 2].T, rcond=None)[0]
        for r, w in zip(two, new, strict=True)
    )
    np.testing.assert_allclose(left.ravel(), right.ravel()[::-1])


def test_cells_are_folded_apart_and_partial_readers_take_the_mean() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 6)) @ rng.standard_normal((6, 6))
    stays = np.array([[True, False, True], [True, True, False]])
    whole, first = reader(x, np.arange(6)), reader(x[:, :3], np.arange(3))
    partial = Reader("partial", 0, first.weight[:2], np.arange(2), first.mean[:2], first.cov[:2, :2])  # type: ignore[index]
    flat = Reader("flat", 0, first.weight, np.arange(3), first.mean, np.ones(3))
    new = folded([whole, first, partial, flat], stays, "survivors")
    assert (new[0] != whole.weight).any(1).all()
    for one, weight in zip((partial, flat), new[2:], strict=True):
        np.testing.assert_array_equal(weight, np.where(stays.ravel()[one.unit][:, None], one.weight, 0))


def pruned(model: Any, seed: int = 0, keep: float = 0.5) -> tuple[Graph, Graph, Context]:
    """The graph, a copy without a share of every group, and the context with the plan after that."""
    graph = graph_of(model)
    shared = Context(OrtRunner(1), graph.copy(), Calibration.from_arrays(feeds(model, seed, 12)))
    shared.verify = False
    copy = graph.copy()
    apply(SelectChannels(criterion="activation", keep=keep), copy, shared)
    apply(RemoveChannels(), copy, shared)
    return graph, copy, shared


NAMES = [*sorted(ARCHITECTURES), "matmul_constant_left", "conv1d", "grouped_conv", "concat_dense_chain"]
NAMES += ["qdq_weight_per_axis", "flatten_nhwc", "gemm_trans_b", "shared_conv_weight"]


CASES = [(name, "survivors") for name in NAMES]
CASES += [(name, way) for name in ("resnext", "vgg_flatten", "qdq_weight_per_axis") for way in ("mean", "partner")]


@pytest.mark.parametrize(("name", "way"), CASES)
def test_the_pruned_graph_is_the_original_with_folded_weights(name: str, way: str) -> None:
    """The new weights and biases, in the original's form, mean the same there when the removed rows are zero."""
    model = {**ZOO, **ARCHITECTURES}[name]()
    graph, copy, shared = pruned(model)
    reference, keep = shared.plan.reference, shared.plan.class_mask(copy)
    assert reference is not None and keep is not None
    channels, moments = reference.channels, shared.moments(reference)
    fold = _Fold(copy, reference, keep, moments, {node.name for node in copy.nodes})
    written = fold.matrices(way)
    kept = {group.name: group.cells[keep[group.cells]] for group in channels.groups}
    rest = {end.node for end in channels.context.contractions} - written.keys()
    wanted = masked(graph, channels, kept, at=rest)
    for node, (old, new) in written.items():
        layer, place = fold.layers[node], wanted.node(node)
        shift = np.einsum("gdm,gd->gm", old - new, moments[node].mean).ravel()
        like = stored_weight(graph, graph.node(node), layer)
        bias = stored_bias(wanted, place, layer) + shift
        write_weight(wanted, place, layer, layer.weight(new, like))
        write_bias(wanted, place, layer, bias)
    assert fold.write(written) == len(written) > 0
    copy.to_model()
    tolerance = 0.05 if name.startswith("qdq") else 1e-4
    assert distance(wanted, copy, feeds(model, 1)) < tolerance


@pytest.mark.parametrize("kind", ["conv", "flatten", "nhwc", "matmul", "residual", "shifted"])
@pytest.mark.parametrize("way", ["partner", "survivors"])
def test_copies_are_made_up_for_exactly(kind: str, way: str) -> None:
    b = Builder(f"copies_{kind}")
    x = b.input("x", ["N", 3, 6, 6])
    weight = np.repeat(b.rng.standard_normal((4, 3, 3, 3)), 2, 0).astype(np.float32)
    weight[1::2] *= 2
    bias = np.repeat(b.uniform([4], -0.3, 0.3), 2) * np.tile(np.float32([1, 2]), 4)
    y = b.conv_with(x, [b.const(weight), b.const(bias)])
    y = b.relu(b.add(y, y) if kind == "residual" else y)
    if kind == "shifted":
        y = b.add(y, b.const(b.uniform([1, 8, 1, 1], 1, 2)))
    if kind in ("nhwc", "matmul"):
        y = b.transpose(y, 0, 2, 3, 1)
    if kind == "matmul":
        model = b.model(b.matmul(y, 5, bias=False))
    else:
        model = b.model(b.gemm(b.flatten(y), 5) if kind in ("flatten", "nhwc") else b.conv(y, 5, k=1))
    graph = graph_of(model)
    calibration = Calibration.from_arrays(feeds(model, 0, 200))
    shared = Context(OrtRunner(1), graph.copy(), calibration)
    copy = graph.copy()
    (group,) = shared.view(copy).channels.groups
    order = np.concatenate([group.cells[:, 1::2], group.cells[:, ::2]], 1).T
    ranking = Ranking("odd", shared.view(copy).channels, {group.name: GroupRanking(order, np.arange(9.0))})
    shared.plan = Plan(ranking=ranking, decision=Decision({group.name: 4}))
    apply(RemoveChannels(), copy, shared)
    before = distance(graph, copy, feeds(model, 1))
    assert apply(FoldChannels(way), copy, shared).changed
    assert distance(graph, copy, feeds(model, 1)) < 0.01 * before


def test_each_way_leaves_less_of_the_damage() -> None:
    found = []
    for step in ("", *(f",fold-channels{{into={way}}}" for way in WAYS)):
        graph = digits.run(f"select-channels{{keep=0.75}},remove-channels{step}", digits.context())
        found.append(digits.examiner().of(graph))
    assert found[0] > found[1] > found[2] > found[3]


def test_when_there_is_nothing_to_do() -> None:
    shared = digits.context(0)
    graph = digits.run("select-channels{keep=0.5},remove-channels", shared)
    outcome = apply(FoldChannels(), graph, shared)
    assert not outcome.changed and "no calibration data" in outcome.notes[0]
    whole = digits.context(40)
    graph = digits.run("select-channels{keep=1},remove-channels", whole)
    assert not apply(FoldChannels(), graph, whole).changed
    with pytest.raises(UsageError, match="fold-channels needs a graph from before a removal"):
        apply(FoldChannels(), digits.network().copy(), digits.context())
    with pytest.raises(UsageError, match="cannot go into 'dust'"):
        apply(FoldChannels("dust"), graph, shared)


@cache
def removed(text: str) -> tuple[Graph, Context]:
    """Run a pipeline on a small residual network. Copy what you change."""
    model = ZOO["resnet_projection"]()
    graph = graph_of(model)
    shared = Context(OrtRunner(1), graph.copy(), Calibration.from_arrays(feeds(model, 0, 64)))
    PassManager.parse(text).run(graph, shared)
    return graph, shared


@pytest.mark.parametrize("way", WAYS)
def test_layers_that_do_not_stand_as_they_did_are_left_alone(way: str) -> None:
    """A normalisation is folded into most of them, or they have taken another form: writing what was would undo it."""
    unseen, removal = feeds(ZOO["resnet_projection"](), 5, 32), "select-channels{keep=0.7},remove-channels"
    for text in (
        f"{removal},fold-batch-norm",
        f"{removal},decompose{{share=0.7}}",
        f"decompose{{forms=grouped,share=0.7}},{removal}",
        f"decompose{{forms=strided,share=0.5}},fold-batch-norm,{removal}",
    ):
        done, held = removed(text)
        graph, shared = done.copy(), replace(held, _view=None)
        before, macs = distance(shared.original, graph, unseen), total(cost(graph)).macs
        apply(FoldChannels(way), graph, shared)
        assert distance(shared.original, graph, unseen) <= 1.02 * before and total(cost(graph)).macs == macs
