"""Profiles from onnxruntime's own events, matched between models, and what ``bench`` says of wrong wishes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from zoo import ZOO

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.backends.ort.profiler import NodeTime, node_times, profile
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.feeds import random_feeds
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.timing import Latency
from optimise_onnx.tools import api, table
from optimise_onnx.tools.bench import bench
from optimise_onnx.tools.profile import Profile

from .conftest import Run, network

QUICK = ("--seconds", "0.05")


def at(layer: str, op: str, microseconds: float, tensor: str = "", name: str = "") -> NodeTime:
    return NodeTime(name or layer, op, layer, tensor or f"{layer}.out", microseconds)


def event(name: str, op: str, start: int, duration: int, kind: str = "kernel_time") -> dict[str, Any]:
    return {"cat": "Node", "name": f"{name}_{kind}", "args": {"op_name": op}, "ts": start, "dur": duration}


THREE = """<ir_version: 8, opset_import: ["" : 17]>
three (float[N, 4, 8, 8] x) => (float[N, 2, 1, 1] y) <float[2, 4, 1, 1] w = {1, 1, 1, 1, 1, 1, 1, 1}>
{ c = Conv(x, w)  r = Relu(c)  y = GlobalMaxPool(r) }"""


def test_events_become_medians_of_layers() -> None:
    graph = Graph.of(onnx.parser.parse_model(THREE))
    conv, _, pool = (node.name for node in graph.nodes)
    optimised = onnx.parser.parse_model(THREE.replace("c = Conv(x, w)  r = Relu(c)", "r = Clip(x)"))
    optimised.graph.node[0].name = "made_up"
    events = [{"cat": "Session", "name": "model_run", "ts": 0, "dur": 99}]
    for run, scale in enumerate((100, 1, 2, 6)):
        start = 10_000 * run
        events += [
            event("r_nchwc", "Conv", start, 10 * scale),
            event("r_nchwc", "Conv", start, 3, kind="fence_before"),
            event("ReorderOutput", "ReorderOutput", start + 2000, scale),
            event("made_up", "Clip", start + 4000, 7),
            event(pool, "GlobalMaxPool", start + 6000, 50),
            event("inside", "Add", start + 6001, 40),
        ]
    assert node_times(events, graph, optimised, skipped=1) == (
        NodeTime("r_nchwc", "Conv", conv, "c", 20),
        NodeTime("ReorderOutput", "ReorderOutput", "", "", 2),
        NodeTime("made_up", "Clip", graph.nodes[1].name, "r", 7),
        NodeTime(pool, "GlobalMaxPool", pool, "y", 50),
    )


def test_layers_match_by_name_then_by_output_and_the_rest_by_operator() -> None:
    first = (at("same", "Conv", 8), at("old", "Gemm", 4, tensor="t"), at("gone", "Relu", 1), at("", "Reorder", 2))
    second = (at("same", "FusedConv", 2), at("new", "Gemm", 3, tensor="t"), at("", "Reorder", 1), at("", "Reorder", 1))
    found = Profile((first, second))
    lines = {(line.layer, line.op): (line.microseconds, line.nodes) for line in found.by_layer()}
    assert lines == {
        ("same", "Conv → FusedConv"): ((8, 2), (1, 1)),
        ("old", "Gemm"): ((4, 3), (1, 1)),
        ("", "Reorder"): ((2, 2), (1, 2)),
        ("", "Relu"): ((1, 0), (1, 0)),
    }
    assert [line.layer for line in found.by_layer()] == ["same", "old", "", ""]
    assert {line.op: line.microseconds for line in found.by_operator()} == {
        "Conv": (8, 0), "FusedConv": (0, 2), "Gemm": (4, 3), "Reorder": (2, 2), "Relu": (1, 0),
    }  # fmt: skip
    assert found.total().microseconds == (15, 7)


def test_an_output_is_no_match_when_its_layer_is_there_under_its_name() -> None:
    first = (at("a", "Conv", 1, tensor="t"), at("b", "Conv", 2, tensor="u"))
    second = (at("a", "Conv", 3, tensor="u"), at("c", "Conv", 4, tensor="t"))
    lines = [(line.layer, line.microseconds) for line in Profile((first, second)).by_layer()]
    assert sorted(lines) == [("", (2, 4)), ("a", (1, 3))]


@pytest.mark.parametrize("name", ["mlp", "if_branches"])
def test_every_profiled_node_of_a_real_model_has_a_time(name: str) -> None:
    graph = api.load(ZOO[name]())
    (nodes,) = profile([graph], [random_feeds(graph, np.random.default_rng(0), 2)], OrtRunner(1), 0.0)
    assert nodes and all(node.microseconds >= 0 for node in nodes)
    assert {node.layer for node in nodes} <= {"", *(node.name for node in graph.nodes)}


def test_convolutions_of_a_real_model_are_found_whatever_was_fused_into_them() -> None:
    graph = api.load(network())
    (nodes,) = profile([graph], [random_feeds(graph, np.random.default_rng(0), 1)], OrtRunner(1), 0.0)
    assert {node.name for node in graph.nodes if node.op == "Conv"} <= {node.layer for node in nodes}


def test_a_stored_parameter_behind_a_node_hides_no_convolution() -> None:
    text = THREE.replace("r = Relu(c)", "s = Identity(v)  r = PRelu(c, s)").replace(
        "1, 1}>", "1, 1}, float[2, 1, 1] v = {1, 1}>"
    )
    graph = Graph.of(onnx.parser.parse_model(text))
    (found,) = node_times([event("r_nchwc", "Conv", 0, 5)], graph, onnx.ModelProto(), skipped=0)
    assert (found.layer, found.tensor) == (graph.nodes[0].name, "c")


def test_bench_compares_models_and_writes_all_figures(folder: Path, run: Callable[..., Run]) -> None:
    found = run("bench", "in.onnx", "in.onnx", "--batch", "3", *QUICK, "--profile", "--json", "b.json")
    assert (found.code, found.err) == (0, "")
    assert (
        "of A's CPU time, and " in found.out
        and "of its wall time" in found.out
        and "with the profiler: A " in found.out
    )
    assert "batch 3, 1 thread" in found.out and "wrote b.json" in found.out
    figures = json.loads((folder / "b.json").read_text())
    assert (figures["models"], figures["threads"], figures["batch"]) == (["in.onnx", "in.onnx"], 1, 3)
    times = figures["latency"]
    assert times["ratio"]["low"] <= times["ratio"]["middle"] <= times["ratio"]["high"]
    assert all(p50 <= p95 for p50, p95 in zip(times["p50"], times["p95"], strict=True))
    assert [line["nodes"] for line in figures["profile"]["by_layer"] if line["op"] == "Gemm"] == [[1, 1]]
    assert len(figures["profile"]["nodes"]) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["b.json", "data.npz", "in.onnx"]


def test_one_model_has_no_ratio(run: Callable[..., Run]) -> None:
    found = run("bench", "in.onnx", *QUICK, "--profile", "--threads", "2")
    assert (found.code, found.err) == (0, "")
    assert "2 threads" in found.out and "of A's time" not in found.out and "B / A" not in found.out


def test_the_batch_is_what_both_models_take(folder: Path) -> None:
    onnx.save(network(batch=4), folder / "four.onnx")
    paths = [folder / "in.onnx", folder / "four.onnx"]
    assert bench(paths, seconds=0).batch == 4
    assert bench(paths, seconds=0, batch=4).batch == 4
    assert bench(paths[:1], seconds=0).batch == 1
    onnx.save(network(batch=2), folder / "two.onnx")
    with pytest.raises(UsageError, match="different batches: .*two.onnx' fixes 2 and .*four.onnx' fixes 4"):
        bench([folder / "two.onnx", folder / "four.onnx"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "A.onnx"),
        (("missing.onnx",), 3, "missing.onnx"),
        (("in.onnx", "missing.onnx"), 3, "missing.onnx"),
        (("in.onnx", "in.onnx", "in.onnx"), 2, "in.onnx"),
        (("in.onnx", "--batch", "0"), 2, "--batch"),
        (("in.onnx", "--seconds", "-1"), 2, "--seconds"),
        (("in.onnx", "--threads", "two"), 2, "--threads"),
        (("in.onnx", "--json", "in.onnx"), 2, "is the input"),
        (("in.onnx", "--json", "nowhere/b.json"), 2, "does not exist"),
        (("four.onnx", "--batch", "3"), 2, "the batch cannot be 3: 'four.onnx' fixes 4"),
    ],
)
def test_wishes_that_are_refused(
    arguments: tuple[str, ...], code: int, said: str, folder: Path, run: Callable[..., Run]
) -> None:
    onnx.save(network(batch=4), folder / "four.onnx")
    before = sorted(folder.iterdir())
    found = run("bench", *arguments)
    assert (found.code, found.out) == (code, "")
    assert said in found.error
    assert sorted(folder.iterdir()) == before


def test_the_verdict_says_what_is_known() -> None:
    def said(*shares: float, cpu: bool = False) -> str:
        runs = np.array([[[1.0, share]] * 2 for share in shares])
        return table.verdict(Latency(runs * (2 if cpu else 1), runs if cpu else None, 3))

    assert said(*[0.8] * 9, 0.82, *[0.84] * 9) == "B takes 0.820 (0.800 to 0.840) of A's time"
    noise = "no difference beyond noise: B takes 0.990 (0.970 to 1.020) of A's time"
    assert said(*[0.97] * 9, 0.99, *[1.02] * 9) == noise
    both = "B takes 0.500 (0.500 to 0.500) of A's CPU time, and 0.500 (0.500 to 0.500) of its wall time"
    assert said(*[0.5] * 6, cpu=True) == both
