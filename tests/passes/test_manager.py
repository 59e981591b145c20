"""The manager checks, records, drops stale analyses, and explains failures with a reproducer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import onnx
import pytest
from onnx import helper

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import OptimiseOnnxError, PassError, TargetNotMetError, UsageError, VerificationError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context, Outcome
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.observers import DumpAfter, PrintAfter, Timing


def chain(*ops: str) -> Graph:
    """A chain of unary operators from x to y."""
    names = ["x", *(f"t{i}" for i in range(len(ops) - 1)), "y"]
    nodes = [helper.make_node(op, [a], [b]) for op, a, b in zip(ops, names[:-1], names[1:], strict=True)]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 2]) for name in "xy"]
    opset = [helper.make_opsetid("", 17)]
    return Graph.of(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=opset))


def context(graph: Graph) -> Context:
    return Context(OrtRunner(1), graph.copy())


@dataclass(frozen=True)
class Rename:
    """Turns the first `old` into `new`."""

    old: str = "Relu"
    new: str = "Abs"
    says: bool = True
    name: ClassVar[str] = "rename"

    def run(self, graph: Graph, context: Context) -> Outcome:
        context.view(graph).once("ops", lambda: [node.op for node in graph.nodes])
        found = [node for node in graph.nodes if node.op == self.old]
        if not found:
            return Outcome(False)
        found[0].set_op(self.new)
        return Outcome(self.says, (f"{self.old} became {self.new}",), {"renamed": 1})


@dataclass(frozen=True)
class Raise:
    """Fails."""

    error: Callable[[], Exception] = field(default=lambda: ValueError("no luck"))
    name: ClassVar[str] = "raise"

    def run(self, graph: Graph, context: Context) -> Outcome:
        graph.nodes[0].set_op("Half")
        raise self.error()


def test_records_tell_what_each_pass_did() -> None:
    graph = chain("Relu", "Neg")
    records = PassManager((Rename(), Rename())).run(graph, context(graph))
    assert [(r.name, r.text, r.changed, r.notes) for r in records] == [
        ("rename", "rename", True, ("Relu became Abs",)),
        ("rename", "rename", False, ()),
    ]
    assert records[0].figures == {"renamed": 1}
    assert [node.op for node in graph.nodes] == ["Abs", "Neg"]


def test_analyses_are_dropped_when_the_graph_changes() -> None:
    graph = chain("Relu", "Relu")
    state = context(graph)
    PassManager((Rename(old="Exp"),)).run(graph, state)
    assert state.view(graph).once("ops", list) == ["Relu", "Relu"]
    PassManager((Rename(),)).run(graph, state)
    assert state.view(graph).once("ops", list) == []


def test_a_pass_that_breaks_the_graph_is_named_and_leaves_a_reproducer(tmp_path: Path) -> None:
    graph = chain("Relu", "Neg")
    steps = (Rename(), Rename(old="Neg", new="NoSuchOp"), Rename(old="Exp"))
    with pytest.raises(
        VerificationError, match=r"pass 2 of 3, rename\{old=Neg,new=NoSuchOp\}: the onnx checker"
    ) as info:
        PassManager(steps, reproducers=tmp_path).run(graph, context(graph))
    (folder,) = tmp_path.iterdir()
    assert info.value.__notes__ == [f"reproducer: {folder}"]
    before = onnx.load(folder / "before.onnx")
    assert [node.op_type for node in before.graph.node] == ["Abs", "Neg"]
    assert (folder / "pipeline.txt").read_text() == "rename{old=Neg,new=NoSuchOp},rename{old=Exp}\n"
    assert "onnxruntime 1." in (folder / "versions.txt").read_text()


def test_an_unexpected_failure_becomes_a_pass_error(tmp_path: Path) -> None:
    graph = chain("Relu")
    with pytest.raises(
        PassError, match="pass 1 of 1, raise.*: unexpected failure: ValueError: no luck .our mistake"
    ) as info:
        PassManager((Raise(),), reproducers=tmp_path).run(graph, context(graph))
    assert isinstance(info.value.__cause__, ValueError)
    (folder,) = tmp_path.iterdir()
    assert [node.op_type for node in onnx.load(folder / "before.onnx").graph.node] == ["Relu"]


@pytest.mark.parametrize("error", [UsageError("wrong"), TargetNotMetError("too far")])
def test_errors_raised_on_purpose_go_through(error: OptimiseOnnxError, tmp_path: Path) -> None:
    graph = chain("Relu")
    with pytest.raises(type(error)) as info:
        PassManager((Raise(lambda: error),), reproducers=tmp_path).run(graph, context(graph))
    assert info.value is error
    assert list(tmp_path.iterdir()) == []
    assert "pass 1 of 1" in info.value.__notes__[0]


def test_a_reproducer_that_cannot_be_written_does_not_hide_the_error(tmp_path: Path) -> None:
    graph = chain("Relu")
    with pytest.raises(PassError, match="no luck") as info:
        PassManager((Raise(),), reproducers=tmp_path / "missing").run(graph, context(graph))
    assert "not written" in info.value.__notes__[0]


def test_a_hidden_change_fails_under_fingerprinting(tmp_path: Path) -> None:
    graph = chain("Relu")
    with pytest.raises(PassError, match="changed and the pass says it did not"):
        PassManager((Rename(says=False),), reproducers=tmp_path, fingerprint=True).run(graph, context(graph))
    PassManager((Rename(old="Exp", says=False), Rename(old="Abs")), fingerprint=True).run(graph, context(graph))


def test_observers_hear_of_every_pass(tmp_path: Path) -> None:
    graph = chain("Relu", "Neg")
    timing, printed = Timing(), []
    watch = (timing, DumpAfter(tmp_path / "dumps"), PrintAfter(printed.append))
    PassManager((Rename(), Rename()), watch).run(graph, context(graph))
    assert list(timing.seconds) == ["rename"] and timing.seconds["rename"] > 0
    assert sorted(path.name for path in (tmp_path / "dumps").iterdir()) == ["01-rename.onnx", "02-rename.onnx"]
    assert len(printed) == 1
    assert printed[0].startswith("# after pass 1: rename\ngraph(x: float32[N, 2])") and "= Abs(x)" in printed[0]


def test_parsing_builds_a_manager_that_prints_back() -> None:
    written = "fold-constants,select-channels{criterion=magnitude,keep=0.5},remove-channels"
    assert str(PassManager.parse(written)) == written
    with pytest.raises(UsageError, match="did you mean 'fold-constants'"):
        PassManager.parse("fold-constant")
