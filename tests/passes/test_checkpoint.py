"""State between passes: pickled, written and read back, killed and gone on from, and reproducers that reproduce."""

import json
import os
import pickle
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from zoo import ARCHITECTURES, feeds

from optimise_onnx.ir.errors import InvalidModelError, PassError, UsageError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.checkpoint import Checkpoint, plan_from_json, plan_to_json, run_key
from optimise_onnx.passes.codec import decode, encode
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.reconstruct.reconstruct import Reconstruct
from optimise_onnx.tools.cli import main
from tests.passes.decompose.passing import calibrated, network

FORMS = "select-channels,offer-forms{forms=all},allocate{target=macs=0.5x},remove-channels,decompose,reconstruct"
TWICE = "select-channels{keep=0.7},remove-channels,select-channels{keep=0.7},remove-channels,fold-channels,reconstruct"


def written(graph: Graph) -> bytes:
    return graph.to_model().SerializeToString(deterministic=True)


def again(context: Context) -> Context:
    """The same samples and seed, nothing known yet."""
    return Context(context.runner, context.original, context.calibration, context.seed)


@pytest.mark.parametrize("pipeline", [FORMS, TWICE])
def test_a_run_that_goes_on_from_any_pass_gives_the_same_bytes(pipeline: str, tmp_path: Path) -> None:
    graph, context = calibrated(network("residual"), 24)
    manager, whole = PassManager.parse(pipeline), graph.copy()
    manager.run(whole, again(context))
    for stop in range(1, len(manager.passes)):
        place = Checkpoint(tmp_path / str(stop), "key")
        first = PassManager(manager.passes[:stop])
        first.run(graph.copy(), again(context), place)
        rest, state = graph.copy(), again(context)
        records = manager.run(rest, state, place)
        assert written(rest) == written(whole)
        assert [record.name for record in records] == [step.name for step in manager.passes]


def test_plan_graph_calibration_and_channels_pickle() -> None:
    graph, context = calibrated(network("residual"), 24)
    PassManager.parse("select-channels,offer-forms{forms=stretch},allocate{target=macs=0.5x}").run(graph, context)
    plan = context.plan
    copies: tuple[Any, ...] = pickle.loads(pickle.dumps((graph, context.calibration, analyse(graph), plan)))
    assert written(copies[0]) == written(graph)
    for one, other in zip(copies[1].batches(5), context.calibration.batches(5), strict=True):  # type: ignore[union-attr]
        np.testing.assert_equal(one, other)
    assert [group.name for group in copies[2].groups] == [group.name for group in analyse(graph).groups]
    finished = [graph.copy(), copies[0]]
    for each, decided in zip(finished, (plan, copies[3]), strict=True):
        own = replace(again(context), plan=decided)
        PassManager.parse("remove-channels,decompose,reconstruct", given=decided.facts).run(each, own)
    assert written(finished[0]) == written(finished[1])


def test_a_plan_written_to_json_and_read_back_gives_the_same_bytes() -> None:
    graph, context = calibrated(network("residual"), 24)
    PassManager.parse("select-channels,offer-forms{forms=all},allocate{target=macs=0.5x}").run(graph, context)
    text = json.dumps(plan_to_json(context.plan))
    read = plan_from_json(json.loads(text), context.view(graph), None)
    assert json.dumps(plan_to_json(read)) == text
    finished = [graph.copy(), graph.copy()]
    for each, decided in zip(finished, (context.plan, read), strict=True):
        own = replace(again(context), plan=decided)
        PassManager.parse("remove-channels,decompose,reconstruct", given=decided.facts).run(each, own)
    assert written(finished[0]) == written(finished[1])


@pytest.mark.parametrize("name", ["resnet_projection", "shufflenet_v1", "vit"])
def test_graphs_of_many_kinds_pickle(name: str) -> None:
    model = ARCHITECTURES[name]()
    graph = Graph.of(model)
    copy = pickle.loads(pickle.dumps(graph))
    assert written(copy) == written(graph)
    assert {n: t.dtype for n, t in copy.tensors().items()} == {n: t.dtype for n, t in graph.tensors().items()}


def test_only_our_own_classes_are_made_from_a_file() -> None:
    value = {"a": (1, 2.5, None, "x"), "b": np.arange(6, dtype=np.int32).reshape(2, 3), "c": frozenset({"q"})}
    back = decode(json.loads(json.dumps(encode(value))))
    assert back["a"] == value["a"] and back["c"] == value["c"]
    np.testing.assert_array_equal(back["b"], value["b"])
    assert back["b"].dtype == np.int32
    for name in ("os:system", "subprocess:Popen", "optimise_onnx.passes.codec:encode", "optimise_onnx.nowhere:X"):
        with pytest.raises(InvalidModelError, match="cannot be read"):
            decode({"type": name, "fields": {}})
    with pytest.raises(TypeError, match="no form in JSON"):
        encode(object())


def test_other_samples_to_fit_make_another_run() -> None:
    graph, context = calibrated(network("plain"), 8)
    keys = {run_key(graph, "reconstruct", 0, context.calibration, some) for some in (None, 4, 6)}
    assert len(keys) == 3


def test_the_state_of_another_run_is_refused(tmp_path: Path) -> None:
    graph, context = calibrated(network("plain"), 8)
    manager = PassManager.parse("select-channels{keep=0.5},remove-channels")
    manager.run(graph.copy(), again(context), Checkpoint(tmp_path, "one"))
    with pytest.raises(UsageError, match="holds the state of another run"):
        manager.run(graph.copy(), again(context), Checkpoint(tmp_path, "two"))
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read") as info:
        manager.run(graph.copy(), again(context), Checkpoint(tmp_path, "one"))
    assert info.value.hint == "remove it to begin anew"


def test_a_crash_in_reconstruct_comes_again_from_its_reproducer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_arguments: Any, **_named: Any) -> None:
        raise ZeroDivisionError("in the middle of it")

    graph, context = calibrated(network("residual"), 24)
    monkeypatch.setattr(Reconstruct, "_from_data", fails)
    manager = PassManager.parse("select-channels{keep=0.5},remove-channels,reconstruct", reproducers=tmp_path)
    with pytest.raises(PassError, match="in the middle of it") as info:
        manager.run(graph, context)
    (folder,) = tmp_path.iterdir()
    assert info.value.__notes__ == [f"reproducer: {folder}"]
    assert (folder / "pipeline.txt").read_text() == "reconstruct\n"
    program, *arguments = shlex.split((folder / "command.txt").read_text())
    assert program == "optimise-onnx"
    assert main(arguments) == 1
    assert "in the middle of it" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(arguments) == 0
    assert (folder / "after.onnx").is_file()


def killed(arguments: Iterable[str], folder: Path, states: int) -> None:
    """Start a run and kill it once it has kept so many states."""
    command = [sys.executable, "-m", "optimise_onnx", *arguments]
    process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            try:
                done = json.loads((folder / "state.json").read_text())["done"]
            except (OSError, ValueError):
                continue
            if done >= states:
                process.send_signal(signal.SIGKILL)
                break
    finally:
        process.wait()


@pytest.mark.parametrize("states", [1, 3])
def test_a_killed_run_goes_on_to_the_same_bytes(states: int, tmp_path: Path) -> None:
    model = network("residual")
    onnx.save(model, tmp_path / "in.onnx")
    np.savez(tmp_path / "data.npz", **feeds(model, 1, 48))  # type: ignore[arg-type]
    passes = "fold-constants,fold-batch-norm,select-channels{keep=0.6},remove-channels,fold-channels,reconstruct"
    common = ["run", str(tmp_path / "in.onnx"), "--passes", passes, "--data", str(tmp_path / "data.npz"), "--no-cache"]
    assert main([*common, "-o", str(tmp_path / "whole.onnx")]) == 0
    resumed = [*common, "-o", str(tmp_path / "out.onnx"), "--resume", str(tmp_path / "state")]
    killed(resumed, tmp_path / "state", states)
    assert main(resumed) == 0
    assert (tmp_path / "out.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()
