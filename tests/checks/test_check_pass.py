"""``check_pass``: ours pass it, and each planted mistake is found."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context, Outcome, Pass
from optimise_onnx.passes.cleanup.batch_norm import FoldBatchNorm
from optimise_onnx.passes.order import EXACT
from optimise_onnx.passes.reconstruct.reconstruct import Reconstruct
from optimise_onnx.passes.select.remove_channels import RemoveChannels
from optimise_onnx.testing import check_pass


@dataclass(frozen=True)
class Scale:
    """Multiplies the last bias."""

    by: float = 2.0
    name: ClassVar[str] = "scale"

    def run(self, graph: Graph, _context: Context) -> Outcome:
        bias = graph.tensors()["b3"]
        graph.set_array(bias, bias.array * np.float32(self.by))
        return Outcome(True)


class SaysExact(Scale):
    preserves = EXACT


class SaysNothingChanged(Scale):
    def run(self, graph: Graph, context: Context) -> Outcome:
        super().run(graph, context)
        return Outcome(False)


class Forgetful(Scale):
    def run(self, graph: Graph, context: Context) -> Outcome:
        super().run(graph, context)
        COUNTED.append(len(COUNTED))
        graph.set_array(graph.tensors()["b3"], np.full(5, len(COUNTED), np.float32))
        return Outcome(True)


class Loses(Scale):
    def run(self, graph: Graph, _context: Context) -> Outcome:
        graph.set_outputs([graph.tensors()["f"]])
        return Outcome(True)


class Unreadable(Scale):
    def run(self, graph: Graph, _context: Context) -> Outcome:
        graph.set_array(graph.tensors()["w3"], np.zeros((3, 3), np.float32))
        return Outcome(True)


class Wild(Scale):
    def run(self, graph: Graph, _context: Context) -> Outcome:
        graph.set_array(graph.tensors()["b3"], np.full(5, np.nan, np.float32))
        return Outcome(True)


@dataclass
class Thawed:
    name: ClassVar[str] = "thawed"
    run = Scale.run


@dataclass(frozen=True)
class Listed(Scale):
    by: float = 2.0
    which: tuple[int, ...] = ()

    def __eq__(self, other: object) -> bool:
        return self is other


COUNTED: list[int] = []


def test_ours() -> None:
    check_pass(FoldBatchNorm())
    check_pass(RemoveChannels(), before="fold-batch-norm,select-channels{keep=0.5}")
    check_pass(Reconstruct(), before="fold-batch-norm,select-channels{keep=0.5},remove-channels")
    check_pass(Scale(by=3.0))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (SaysExact(), "says that it is exact, and outputs differ"),
        (SaysNothingChanged(), "the pass says it did not"),
        (Forgetful(), "two runs of .* give different graphs"),
        (Loses(), "the outputs of the model changed"),
        (Unreadable(), "onnxruntime does not load"),
        (Wild(), "gives NaN"),
        (Thawed(), "no frozen dataclass"),
        (Scale(by=1.0), "changed nothing"),
        (Listed(which=(1, 2)), "parses as another pass"),
    ],
)
def test_planted_mistakes(step: Pass, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_pass(step)


def test_exact_may_be_asked_for() -> None:
    with pytest.raises(AssertionError, match="exact"):
        check_pass(Scale(), exact=True)
