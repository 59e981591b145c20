"""``check_rule``: ours pass it, and each planted mistake is found."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from optimise_onnx.ir import registry
from optimise_onnx.ir.inference import STAND_INS, as_input
from optimise_onnx.passes.analysis.channels.rules.elementwise import elementwise, unary
from optimise_onnx.passes.analysis.channels.rules.table import RULES
from optimise_onnx.testing import Live, check_rule
from tests.ir.test_registry import FakeEntryPoint

SWISHISH = helper.make_function(
    "my.domain",
    "Swishish",
    ["x"],
    ["y"],
    [helper.make_node("Sigmoid", ["x"], ["s"]), helper.make_node("Mul", ["x", "s"], ["y"])],
    [helper.make_opsetid("", 17)],
)


def offer(monkeypatch: pytest.MonkeyPatch, name: str, rule: Any, stand_in: Any = as_input) -> None:
    """Let a package offer a rule, and how shapes are inferred."""
    found = {RULES.group: (FakeEntryPoint(name, "theirs:rule", rule),)}
    if stand_in is not None:
        found[STAND_INS.group] = (FakeEntryPoint(name, "theirs:shape", stand_in),)
    monkeypatch.setattr(registry, "offered", lambda group: found.get(group, ()))


def images(rng: np.random.Generator) -> Live:
    return Live((2, int(rng.integers(2, 7)), int(rng.integers(2, 5)), 3), 1)


def one(rng: np.random.Generator) -> tuple[Sequence[Any], dict[str, Any]]:
    return [images(rng)], {}


def two(rng: np.random.Generator) -> tuple[Sequence[Any], dict[str, Any]]:
    x = images(rng)
    return [x, x if rng.integers(2) else rng.standard_normal((x.shape[1], 1, 1))], {}


def transposed(rng: np.random.Generator) -> tuple[Sequence[Any], dict[str, Any]]:
    return [images(rng)], {"perm": rng.permutation(4).tolist()}


def concatenated(rng: np.random.Generator) -> tuple[Sequence[Any], dict[str, Any]]:
    x = images(rng)
    return [x, Live((2, 3, *x.shape[2:]), 1)], {"axis": 1}


@pytest.mark.parametrize(
    ("op", "example"), [("Sigmoid", one), ("Add", two), ("Transpose", transposed), ("Concat", concatenated)]
)
def test_ours(op: str, example: Any) -> None:
    check_rule(op, example, seeds=4)


def test_an_operator_of_another_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "com.microsoft.BiasGelu", elementwise)
    check_rule("BiasGelu", biased, domain="com.microsoft", seeds=4)


def biased(rng: np.random.Generator) -> tuple[Sequence[Any], dict[str, Any]]:
    width = int(rng.integers(2, 7))
    return [Live((2, 5, width), 2), rng.standard_normal(width)], {}


def test_an_operator_that_onnxruntime_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "my.domain.Swishish", unary)
    check_rule("Swishish", one, domain="my.domain", reference=SWISHISH, seeds=4)


def backwards(ctx: Any, node: Any) -> None:
    """Wrong: as if channels came out in the opposite order."""
    labels = ctx.of(node.inputs[0])
    ctx.set(node.outputs[0], labels.atoms[:, ::-1], labels.shrink)


def bias_left_whole(ctx: Any, node: Any) -> None:
    """Wrong: the bias is not sliced."""
    unary(ctx, node)
    ctx.demand(node.inputs[1], [], node)


def fails(_ctx: Any, node: Any) -> None:
    raise KeyError(node.name)


def test_planted_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(op: str, example: Any, said: str, reference: onnx.FunctionProto | None = None) -> None:
        with pytest.raises(AssertionError, match=said):
            domain = "my.domain" if reference is not None else "com.microsoft"
            check_rule(op, example, domain=domain, reference=reference, seeds=4)

    offer(monkeypatch, "my.domain.Swishish", backwards)
    refused("Swishish", one, "seed 0, read along axis 1: removing channels differs from zeroing", SWISHISH)
    offer(monkeypatch, "my.domain.Swishish", unary, stand_in=None)
    refused("Swishish", one, "not tried: its shapes are unknown", SWISHISH)
    offer(monkeypatch, "my.domain.Otherish", unary)
    refused("Swishish", one, "not tried: this operator has no rule", SWISHISH)
    offer(monkeypatch, "my.domain.Swishish", fails)
    refused("Swishish", one, "the rule for my.domain.Swishish fails: KeyError", SWISHISH)
    offer(monkeypatch, "com.microsoft.BiasGelu", bias_left_whole)
    refused("BiasGelu", biased, "what is left does not run")
