"""Random operators draw the same numbers in every session, and the model that is written has no seed of ours."""

import numpy as np

from optimise_onnx.backends.ort import OrtRunner
from tests.passes.cleanup.support import build


def test_two_sessions_meet_the_same_noise() -> None:
    graph = build("(float[N, 4] x) => (float[N, 4] y) { n = RandomNormalLike(x) y = Add(x, n) }")
    x = {"x": np.zeros((2, 4), np.float32)}
    runs = [[session.run(x)["y"] for _ in range(2)] for session in (OrtRunner(1).session(graph) for _ in range(2))]
    assert (runs[0][0] == runs[1][0]).all() and (runs[0][1] == runs[1][1]).all()
    assert (runs[0][0] != runs[0][1]).any()
    assert not graph.nodes[0].attributes


def test_a_seed_that_the_model_names_stays() -> None:
    text = "(float[N, 4] x) => (float[N, 4] y) { n = RandomUniformLike<seed = SEED>(x) y = Add(x, n) }"
    x = {"x": np.zeros((2, 4), np.float32)}
    one, two = (OrtRunner(1).session(build(text.replace("SEED", seed))).run(x)["y"] for seed in ("1.0", "2.0"))
    assert (one != two).any()
