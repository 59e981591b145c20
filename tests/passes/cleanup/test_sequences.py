"""Sequences of known elements become Split and Concat; others stay."""

import numpy as np
import pytest

from optimise_onnx.passes.cleanup.constants import FoldConstants

from .support import build, checked, normal, ops

_FEEDS = {"x": normal(2, 8, 4)}


def pieces(sizes: str, opset: int) -> list[str]:
    text = f"""(float[N, 8, 4] x) => (float[N, 8, 4] y) <int64[2] sizes = {sizes}, int64 i = {{0}}, int64 j = {{-1}}> {{
        s = SplitToSequence<axis = 1>(x, sizes)
        a = SequenceAt(s, i)
        b = SequenceAt(s, j)
        t = Neg(b)
        both = SequenceConstruct(t, a)
        y = ConcatFromSequence<axis = 1>(both)
    }}"""
    return ops(checked(build(text, opset=opset), FoldConstants(), _FEEDS))


@pytest.mark.parametrize("opset", [11, 17])
def test_a_chunk_is_a_split(opset: int) -> None:
    assert pieces("{4, 4}", opset) == ["Split", "Neg", "Concat"]
    assert pieces("{2, 6}", opset) == ["Split", "Neg", "Concat"]


def test_a_size_for_all_pieces_is_a_split() -> None:
    text = """(float[N, 8, 4] x) => (float[N, 8, 4] y) <int64 size = {3}> {
        s = SplitToSequence<axis = 1>(x, size)
        y = ConcatFromSequence<axis = 1>(s)
    }"""
    assert ops(checked(build(text), FoldConstants(), _FEEDS)) == ["Split", "Concat"]


def test_a_list_that_grows_is_a_concat() -> None:
    text = """(float[N, 8, 4] x) => (float[2, N, 8, 4] y) <int64 front = {0}> {
        none = SequenceEmpty()
        a = Relu(x)
        one = SequenceInsert(none, a)
        b = Neg(x)
        two = SequenceInsert(one, b, front)
        three = SequenceInsert(two, x)
        less = SequenceErase(three)
        y = ConcatFromSequence<axis = 0, new_axis = 1>(less)
    }"""
    assert ops(checked(build(text), FoldConstants(), _FEEDS)) == ["Relu", "Neg", "Unsqueeze", "Unsqueeze", "Concat"]


def test_single_rows_without_their_axis_are_squeezed() -> None:
    text = """(float[2, 8, 4] x) => (float[8, 4] y) <int64 last = {1}> {
        s = SplitToSequence<axis = 0, keepdims = 0>(x)
        y = SequenceAt(s, last)
    }"""
    assert "Squeeze" in ops(checked(build(text), FoldConstants(), _FEEDS))


def test_how_long_a_sequence_is_is_known() -> None:
    text = """(float[N, 8, 4] x) => (float[N, 8, 4] y) {
        s = SequenceConstruct(x, x, x)
        n = SequenceLength(s)
        three = Cast<to = 1>(n)
        y = Mul(x, three)
    }"""
    assert ops(checked(build(text), FoldConstants(), _FEEDS)) == ["Mul"]


def test_a_place_that_is_computed_stays() -> None:
    text = """(float[N, 8, 4] x, int64 i) => (float[N, 8, 4] y) {
        a = Relu(x)
        s = SequenceConstruct(x, a)
        y = SequenceAt(s, i)
    }"""
    checked(build(text), FoldConstants(), {**_FEEDS, "i": np.array(1)}, changes=False)
