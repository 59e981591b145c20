"""Networks whose weights are all alike shrink to a small fraction, and no output changes."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.feeds import random_feeds
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context
from tests.passes.cleanup.support import PASSES, Array, applied, parameters

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def probed(graph: Graph, feeds: dict[str, Array]) -> Array:
    """What the last Softmax reads (it would hide every error), or the output."""
    maker = graph.outputs[0].producer
    tensor = maker.inputs[0] if maker is not None and maker.op == "Softmax" else graph.outputs[0]
    return OrtRunner(1).session(graph, outputs=[tensor.name], exact=True).run(feeds)[tensor.name]


@pytest.mark.parametrize(("name", "most"), [("squeezenet", 0.03), ("shufflenet", 0.35)])
def test_light_networks(name: str, most: float) -> None:
    graph, _ = load(FOLDER / f"light_{name}.onnx")
    folded = graph.copy()
    PASSES[0].run(folded, Context(OrtRunner(1), graph))
    result, _ = applied(folded, *PASSES[1:])
    assert parameters(result) < most * parameters(folded)
    feeds = random_feeds(graph, np.random.default_rng(0), 1)
    before, after = probed(graph, feeds).astype(np.float64), probed(result, feeds).astype(np.float64)
    assert np.abs(before - after).max() < 1e-5 * np.abs(before).max()
