"""What the nodes of a file say of the channels that are left: right, short, and composed over several runs."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from oracle import graph_of
from zoo import ARCHITECTURES, feeds

import optimise_onnx
from optimise_onnx.passes import provenance
from optimise_onnx.passes.analysis.channels.origins import Origin
from optimise_onnx.passes.provenance import KEY, read, written
from optimise_onnx.tools.cli import main
from tests.passes.decompose.passing import network

HALF = "fold-constants,fold-batch-norm,select-channels{criterion=magnitude,keep=0.5},remove-channels"


def run(model: Path, out: Path, *more: str) -> onnx.ModelProto:
    assert main(["run", str(model), "-o", str(out), "--passes", HALF, "-q", *more]) == 0
    return onnx.load(out)


def kept(model: onnx.ModelProto) -> dict[str, Origin]:
    """Origins by output, read from a file's nodes."""
    return {
        node.output[0]: origin
        for node in model.graph.node
        for entry in node.metadata_props
        if entry.key == KEY and (origin := read(entry.value)) is not None
    }


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin(1, np.array([[0, 1, 2, 7]])[..., None], 16), "axis 1: 0-2,7 of 16"),
        (Origin(0, np.array([3]), 4), "axis 0: 3 of 4"),
        (Origin(2, np.array([[[0, 2], [1, 2]]]), 3), "axis 2 of shape 1x2x2: 0,2,1-2 of 3"),
    ],
)
def test_text_and_back(origin: Origin, text: str) -> None:
    assert written(origin) == text
    back = read(text)
    assert back is not None and (back.axis, back.whole) == (origin.axis, origin.whole)
    np.testing.assert_array_equal(back.places.ravel(), origin.places.ravel())
    assert read(text.replace("axis", "bone")) is None


@pytest.mark.parametrize("name", ["resnet_projection", "shufflenet_v1", "densenet"])
def test_rows_of_the_weights_are_those_that_the_nodes_name(name: str, tmp_path: Path) -> None:
    model = ARCHITECTURES[name]()
    onnx.save(model, tmp_path / "in.onnx")
    folded = tmp_path / "folded.onnx"
    assert (
        main(["run", str(tmp_path / "in.onnx"), "-o", str(folded), "--passes", "fold-constants,fold-batch-norm"]) == 0
    )
    before, after = onnx.load(folded), run(folded, tmp_path / "out.onnx")
    stored = [{t.name: onnx.numpy_helper.to_array(t) for t in each.graph.initializer} for each in (before, after)]
    convolutions = [{n.output[0]: n for n in each.graph.node if n.op_type == "Conv"} for each in (before, after)]
    checked = 0
    for output, origin in kept(after).items():
        if output in convolutions[1] and output in convolutions[0]:
            was, now = (s[c[output].input[1]] for s, c in zip(stored, convolutions, strict=True))
            rows = was[origin.places.ravel()]
            assert all(np.isin(np.unique(n), np.unique(w)).all() for n, w in zip(now, rows, strict=True))
            checked += 1
    assert checked > 2


def test_a_second_run_speaks_of_the_first_model(tmp_path: Path) -> None:
    onnx.save(network("residual"), tmp_path / "in.onnx")
    first = run(tmp_path / "in.onnx", tmp_path / "half.onnx")
    second = run(tmp_path / "half.onnx", tmp_path / "quarter.onnx")
    some = 0
    for name, origin in kept(second).items():
        earlier = kept(first)[name]
        assert origin.whole == earlier.whole and origin.count < earlier.count
        assert np.isin(origin.places, earlier.places).all()
        some += 1
    assert some > 2


def test_nothing_is_noted_where_nobody_wants_it(tmp_path: Path) -> None:
    model = network("residual")
    model.graph.node[0].metadata_props.add(key="exporter", value="stays")
    onnx.save(model, tmp_path / "in.onnx")
    plain = run(tmp_path / "in.onnx", tmp_path / "plain.onnx", "--no-provenance")
    noted = run(tmp_path / "in.onnx", tmp_path / "noted.onnx")
    assert not kept(plain) and kept(noted)
    for model in (plain, noted):
        assert [e.value for e in model.graph.node[0].metadata_props if e.key == "exporter"] == ["stays"]
        onnx.checker.check_model(model)
        for node in model.graph.node:
            node.ClearField("metadata_props")
    assert plain == noted
    assert feeds(plain, 1, 1)


def with_notes() -> onnx.ModelProto:
    """Every node carries notes of its own, as exporters write them."""
    model = ARCHITECTURES["vgg_gap"]()
    for node in model.graph.node:
        node.metadata_props.add(key="exporter", value="note")
    return model


def test_what_is_noted_at_a_copy_is_not_noted_at_the_original() -> None:
    graph = graph_of(with_notes())
    before = graph.to_model().SerializeToString(deterministic=True)
    copy, other = graph.copy(), graph.copy()
    other.become(copy)
    for each in (copy, other):
        tensor = each.nodes[0].outputs[0].name
        provenance.annotate(each, {tensor: Origin(1, np.arange(2).reshape(1, -1), 4)})
    assert graph.to_model().SerializeToString(deterministic=True) == before


def test_a_sweep_gives_what_each_compression_gives_where_nodes_carry_notes() -> None:
    model = with_notes()
    front = optimise_onnx.sweep(model, targets=["macs=0.4x", "macs=0.9x"], guard=False, align=1, cache=False)
    for point in front.points:
        assert point.graph is not None
        alone = optimise_onnx.compress(model, target=point.target, guard=False, align=1, cache=False)
        assert point.graph.to_model() == alone.model


def test_notes_that_do_not_fit_are_left_aside() -> None:
    graph = graph_of(ARCHITECTURES["vgg_gap"]())
    tensor = graph.nodes[0].outputs[0]
    provenance.annotate(graph, {tensor.name: Origin(1, np.arange(2).reshape(1, -1), 4)})  # as if others had edited it
    assert provenance.noted(graph_of(graph.to_model())) == {}
