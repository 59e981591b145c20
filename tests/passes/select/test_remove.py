"""The removing pass: it does what was decided, proves it, and says when it cannot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import digits
import numpy as np
import pytest
from oracle import graph_of
from zoo import ARCHITECTURES, ZOO
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner, OrtSession
from optimise_onnx.ir.errors import UsageError, VerificationError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context, Outcome
from optimise_onnx.passes.manager import apply
from optimise_onnx.passes.select.oracle import prove
from optimise_onnx.passes.select.remove_channels import RemoveChannels
from optimise_onnx.passes.select.select_channels import SelectChannels


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_half_of_everything_goes(name: str) -> None:
    graph = graph_of(ARCHITECTURES[name]())
    shared = Context(OrtRunner(1), graph.copy())
    apply(SelectChannels(keep=0.5), graph, shared)
    ranking, widths = shared.plan.ranking, shared.plan.decision.widths
    assert ranking is not None and widths is not None
    lost = sum(len(group.cells) * widths.get(group.name, 0) for group in ranking.channels.groups)
    outcome = apply(RemoveChannels(), graph, shared)
    assert outcome.changed and outcome.figures["channels_removed"] == lost
    assert outcome.figures["oracle_error"] < 1e-5
    keep = shared.plan.class_mask(graph)
    assert keep is not None and (~keep).sum() == lost


def test_nothing_decided_is_a_mistake() -> None:
    graph = graph_of(ZOO["mlp"]())
    shared = Context(OrtRunner(1), graph)
    with pytest.raises(UsageError, match="remove-channels needs a ranking of the channels"):
        apply(RemoveChannels(), graph, shared)
    apply(SelectChannels(), graph, shared)
    with pytest.raises(UsageError, match="remove-channels needs widths that are decided") as caught:
        apply(RemoveChannels(), graph, shared)
    assert caught.value.hint == "put select-channels{keep=…} or allocate before it"


def test_a_decision_is_carried_out_once() -> None:
    graph = graph_of(ZOO["mlp"]())
    shared = Context(OrtRunner(1), graph.copy())
    apply(SelectChannels(keep=0.5), graph, shared)
    apply(RemoveChannels(), graph, shared)
    with pytest.raises(UsageError, match="remove-channels needs a ranking of the channels"):
        apply(RemoveChannels(), graph, shared)


def test_to_keep_everything_changes_nothing() -> None:
    graph = graph_of(ZOO["mlp"]())
    shared = Context(OrtRunner(1), graph.copy())
    apply(SelectChannels(keep=1.0), graph, shared)
    assert not apply(RemoveChannels(), graph, shared).changed
    assert shared.plan.decision.widths is None and not shared.plan.kept


@dataclass(frozen=True)
class Biased:
    """A runner in which pruned graphs give slightly other outputs, and masked ones where operators are fused."""

    scale: float
    rounded: float = 1.0

    def session(self, graph: Graph, *, outputs: Sequence[str] | None = None, exact: bool = False) -> OrtSession:
        pruned = not any(node.op == "Mul" for node in graph.nodes)  # no masks
        if pruned or not exact:
            graph = graph.copy()
            weight = graph.tensors()["weight_0"]
            graph.set_array(weight, ((self.scale if pruned else self.rounded) * weight.array).astype(np.float32))
        return OrtRunner(1).session(graph, outputs=outputs, exact=exact)


def halved(graph: Graph, runner: Biased) -> Outcome:
    """Remove half of the channels of a copy, where pruned graphs run as ``runner`` has it."""
    copy, shared = graph.copy(), Context(runner, graph)
    apply(SelectChannels(keep=0.5), copy, shared)
    return apply(RemoveChannels(), copy, shared)


def test_the_oracle_fails_when_removing_is_not_masking() -> None:
    graph = graph_of(ZOO["mlp"]())
    halved(graph, Biased(1.0))
    for scale in (1.01, np.nan):
        with pytest.raises(VerificationError, match="differs from the masked one"):
            halved(graph, Biased(scale))


def test_what_rounding_does_to_the_masked_graph_too_is_no_failure() -> None:
    """Sums of deep networks, in another order, differ by more than the limit."""
    graph = graph_of(ZOO["mlp"]())
    for scale, rounded, fails in (
        (1 + 3e-5, 1 + 2e-5, False),
        (1 + 3e-5, 1.0, True),
        (1 + 3e-5, 1 + 2e-6, True),
        (1 + 3e-3, 1 + 3e-3, True),  # so much is no rounding
    ):
        if fails:
            with pytest.raises(VerificationError, match="differs from the masked one"):
                halved(graph, Biased(scale, rounded))
        else:
            assert halved(graph, Biased(scale, rounded)).figures["oracle_error"] > 1e-5


def test_outputs_of_other_shapes_are_a_failure() -> None:
    """Where values decide how long an output is, removing may show in its length."""
    graphs = []
    for op in ("Relu", "Sigmoid"):
        b = Builder("lengths")
        h = b.node("Identity", [b.node(op, [b.gemm(b.input("x", ["N", 4]), 8)])])
        graphs.append(graph_of(b.model(b.declare(b.node("NonZero", [h]), [2, "K"], np.int64))))
    with pytest.raises(VerificationError, match="differs from the masked one by inf"):
        prove(*graphs, 1e-5, Context(OrtRunner(1), graphs[0]))


def test_codes_that_flip_are_no_failure() -> None:
    """A sum in another order changes a range by a millionth, so the scale, and some code by one."""
    b = Builder("flips")
    h = b.relu(b.matmul(b.input("x", ["N", 2000, 16]), 32))
    codes = b.const(b.rng.integers(-99, 99, [32, 32]).astype(np.int8))
    for _ in range(4):
        made = b.nodes("DynamicQuantizeLinear", [h], 3)
        weight = b.node("DequantizeLinear", [codes, b.const(np.float32(0.004))])
        h = b.relu(b.node("MatMul", [b.node("DequantizeLinear", made), weight]))
    graph = graph_of(b.model(b.matmul(h, 10)))
    outcome = halved(graph, Biased(1 + 6e-6))
    assert outcome.figures["oracle_error"] < 1e-5 and "not rounded" in outcome.notes[-1]
    with pytest.raises(VerificationError, match="differs from the masked one"):
        halved(graph, Biased(1.01))


def test_the_oracle_can_be_left_out() -> None:
    shared = digits.context(0)
    shared.verify = False
    graph = digits.run("select-channels{keep=0.5}", shared)
    assert apply(RemoveChannels(), graph, shared).figures["oracle_error"] is None


def test_a_sigmoid_of_almost_nothing_is_no_failure() -> None:
    """It rounds at the size of one, so that of outputs of 1e-7 a large part may differ."""
    b = Builder("map")
    h = b.conv_relu(b.conv_relu(b.input("x", ["N", 3, 8, 8]), 32), 32)
    graph = graph_of(b.model(b.sigmoid(b.add(b.conv(h, 1), b.const(np.float32([[[[-16]]]]))))))
    shared = Context(OrtRunner(1), graph.copy())
    apply(SelectChannels(keep=0.5), graph, shared)
    assert apply(RemoveChannels(), graph, shared).figures["oracle_error"] < 1e-5


def _mask(b: Builder) -> str:
    return b.node("Greater", [b.sigmoid(b.conv(_features(b), 1)), b.const(np.float32(0.5))])


def _code(b: Builder) -> str:
    scale, zero = b.const(np.float32(1 / 255)), b.const(np.uint8(0))
    return b.node("QuantizeLinear", [b.sigmoid(b.conv(_features(b), 1)), scale, zero])


def _gated(b: Builder) -> str:
    x = b.input("x", ["N", 16])
    largest = b.node("Cast", [b.node("ArgMax", [x], axis=1, keepdims=1)], to=1)
    return b.gemm(b.mul(b.node("Tanh", [b.gemm(x, 32)]), largest), 5)


def _features(b: Builder) -> str:
    return b.conv_relu(b.conv_relu(b.input("x", ["N", 3, 8, 8]), 32), 32)


@pytest.mark.parametrize("end", [_mask, _code, _gated])
def test_saturating_functions_before_what_is_no_float_or_is_decided(end: Callable[[Builder], str]) -> None:
    b = Builder("end")
    graph = graph_of(b.model(end(b)))
    shared = Context(OrtRunner(1), graph.copy())
    apply(SelectChannels(keep=0.5), graph, shared)
    assert apply(RemoveChannels(), graph, shared).figures["oracle_error"] < 1e-5
