"""Units: one kind for all widths of a layer, written out again as it was."""

import json

import pytest

from optimise_onnx.backends.latency.units import BLOCKED, NodeSpec, Operand, form_of, grains, operator, unit_of


def operand(*shape: int, stored: bool = False, dtype: str = "float32") -> Operand:
    return Operand(dtype, shape, stored)


def convolution(into: int, out: int, group: int = 1, domain: str = BLOCKED) -> NodeSpec:
    operands = (operand(1, into, 8, 8), operand(out, into // group, 3, 3, stored=True), operand(out, stored=True))
    return NodeSpec(domain, "Conv", {"group": group, "pads": [1, 1, 1, 1]}, (*operands, operand(1, out, 8, 8)))


def gemm(into: int, out: int) -> NodeSpec:
    weight, bias = operand(out, into, stored=True), operand(out, stored=True)
    return NodeSpec("", "Gemm", {"transB": 1}, (operand(1, into), weight, bias))


def relu(width: int) -> NodeSpec:
    return NodeSpec("", "Relu", {}, (operand(2, width, 4, 4),))


def reorder(width: int) -> NodeSpec:
    return NodeSpec(BLOCKED, "ReorderOutput", {"channels": width}, (operand(1, width, 4, 4),))


@pytest.mark.parametrize(
    ("form", "widths"),
    [
        (convolution(16, 32), (16, 32)),
        (convolution(16, 16), (16, 16)),
        (convolution(48, 48, group=48), (48,)),
        (convolution(5, 7, domain=""), (5, 7)),
        (convolution(3, 32), (3, 32)),
        (convolution(8, 12, group=4, domain=""), ()),
        (gemm(64, 10), (64, 10)),
        (gemm(10, 10), (10, 10)),
        (relu(24), (24,)),
        (reorder(32), (32,)),
    ],
)
def test_a_unit_is_written_out_as_it_was(form: NodeSpec, widths: tuple[int, ...]) -> None:
    unit = unit_of(form, 16)
    assert unit.widths == widths
    assert form_of(unit) == form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (convolution(16, 32), convolution(64, 64)),
        (convolution(16, 16, group=16), convolution(64, 64, group=64)),
        (gemm(64, 10), gemm(8, 3)),
        (relu(24), relu(5)),
        (reorder(32), reorder(64)),
    ],
)
def test_widths_do_not_change_the_kind(one: NodeSpec, other: NodeSpec) -> None:
    assert unit_of(one, 16).kind == unit_of(other, 16).kind


def test_a_kind_holds_what_is_no_width() -> None:
    kinds = {unit_of(form, 16).kind for form in (convolution(16, 16), convolution(16, 16, domain=""), gemm(16, 16))}
    assert len(kinds) == 3


def test_operators_that_move_elements_count_them() -> None:
    form = NodeSpec("", "Slice", {}, (operand(1, 8, 4, 4), operand(1, stored=True, dtype="int64")))
    unit = unit_of(form, 16)
    assert unit.widths == (128,)
    assert form_of(unit) is None


def test_subgraphs_are_not_built() -> None:
    assert form_of(unit_of(NodeSpec("", "If", {"then_branch": {"kind": "GraphProto"}}, (operand(1),)), 16)) is None


def test_kinds_are_read_by_people() -> None:
    unit = unit_of(convolution(16, 32), 16)
    assert json.loads(unit.kind)["operands"][1] == ["float32", ["b", "a", 3, 3], "stored"]
    assert operator(unit.kind) == f"{BLOCKED}.Conv"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (convolution(16, 32), (16, 16)),
        (convolution(3, 32), (1, 16)),
        (convolution(48, 48, group=48), (16,)),
        (convolution(16, 32, domain=""), (1, 1)),
        (convolution(8, 12, group=4, domain=""), ()),
        (NodeSpec(BLOCKED, "ReorderInput", {}, (operand(1, 20, 4, 4),)), (4,)),
        (NodeSpec("", "Slice", {}, (operand(1, 20, 4, 4),)), (1,)),
    ],
)
def test_blocked_layouts_have_a_grain(form: NodeSpec, expected: tuple[int, ...]) -> None:
    unit = unit_of(form, 16)
    assert grains(unit.kind, 16) == expected
    assert len(unit.widths) == len(expected)
