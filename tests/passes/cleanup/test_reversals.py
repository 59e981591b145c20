"""Reversals of all steps of all samples become a Slice; those of some steps stay."""

import numpy as np
import pytest

from optimise_onnx.passes.cleanup.constants import FoldConstants

from .support import build, checked, normal, ops

_SPREAD = """
    shape = Shape(x)
    samples = Gather(shape, batch)
    lengths = Expand({}, samples)
"""
_STEPS = """
    shape = Shape(x)
    samples = Gather(shape, batch)
    steps = Gather(shape, time)
    lengths = Expand(steps, samples)
"""


@pytest.mark.parametrize(
    ("dims", "lengths", "op"),
    [
        ("5, 2, 3", "lengths = Identity(all)", "Slice"),
        ("5, 2, 3", "lengths = Identity(some)", "ReverseSequence"),
        ("5, N, 3", _SPREAD.format("five"), "Slice"),
        ("5, N, 3", _SPREAD.format("four"), "ReverseSequence"),
        ("T, N, 3", _STEPS, "Slice"),
        ("T, N, 3", _SPREAD.format("five"), "ReverseSequence"),
    ],
)
def test_only_whole_sequences_are_slices(dims: str, lengths: str, op: str) -> None:
    text = f"""(float[{dims}] x) => (float[{dims}] y) {{
        {lengths}
        y = ReverseSequence<time_axis = 0, batch_axis = 1>(x, lengths)
    }}"""
    numbers = {"all": [5, 5], "some": [5, 4], "five": [5], "four": [4], "batch": [1], "time": [0]}
    graph = build(text, {name: np.array(values) for name, values in numbers.items()})
    result = checked(graph, FoldConstants(), {"x": normal(5, 2, 3)}, changes="Identity" in lengths or op == "Slice")
    assert ops(result)[-1] == op


def test_lengths_of_another_open_axis_are_not_these() -> None:
    text = """(float[?, 2, 3] x, float[?, 2, 3] z) => (float[?, 2, 3] y) {
        shape = Shape(z)
        steps = Gather(shape, first)
        lengths = Expand(steps, both)
        y = ReverseSequence<time_axis = 0, batch_axis = 1>(x, lengths)
    }"""
    graph = build(text, {"first": np.array([0]), "both": np.array([2])})
    result = checked(graph, FoldConstants(), {"x": normal(6, 2, 3), "z": normal(3, 2, 3)}, changes=False)
    assert ops(result)[-1] == "ReverseSequence"
