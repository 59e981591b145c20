"""Zero points are found behind what moves values; classes where they lie."""

import numpy as np
import pytest

from optimise_onnx.passes.analysis.outputs.reading import readings
from tests.passes.cleanup.support import build


@pytest.mark.parametrize("moved", ["y = QuantizeLinear(x, s, z)", "q = QuantizeLinear(x, s, z) y = Transpose(q)"])
def test_the_zero_of_a_quantised_output(moved: str) -> None:
    shape = "4, N" if "Transpose" in moved else "N, 4"
    graph = build(
        f"(float[N, 4] x) => (int8[{shape}] y) {{ {moved} }}", {"s": np.array(0.1), "z": np.array(7, dtype=np.int8)}
    )
    assert readings(graph)["y"].zero == 7


def test_floats_stand_for_themselves_and_sequences_have_classes_last() -> None:
    graph = build("(float[N, 6, 4] x) => (float[N, 6, 5] y) { y = MatMul(x, w) }", {"w": np.ones((4, 5))})
    found = readings(graph)["y"]
    assert (found.zero, found.classes, found.decided, len(found.parts)) == (0, 2, "", 1)
