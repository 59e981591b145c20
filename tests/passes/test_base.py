"""What passes share: samples to fit on and others to judge by, randomness by the seed."""

import numpy as np
import pytest
from oracle import graph_of
from zoo import ZOO

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context


@pytest.fixture
def graph() -> Graph:
    return graph_of(ZOO["mlp"]())


def seen(calibration: Calibration) -> list[int]:
    """Numbers of the samples in a stream."""
    return [int(number) for batch in calibration.batches(4) for number in batch["x"]]


@pytest.mark.parametrize("samples", [4, 5, 40, 1000])
def test_statistics_and_judgement_use_different_samples(graph: Graph, samples: int) -> None:
    shared = Context(OrtRunner(1), graph, Calibration.from_arrays({"x": np.arange(samples)}))
    fitting, judging = seen(shared.fitting()), seen(shared.judging(10_000))
    assert fitting + judging == list(range(samples))
    assert len(judging) == min(128, samples // 4)
    assert seen(shared.judging(3)) == judging[:3]


@pytest.mark.parametrize("samples", [1, 3])
def test_few_samples_do_both(graph: Graph, samples: int) -> None:
    shared = Context(OrtRunner(1), graph, Calibration.from_arrays({"x": np.arange(samples)}))
    assert seen(shared.fitting()) == seen(shared.judging(128)) == list(range(samples))


@pytest.mark.parametrize("limit", [8, 32, 100])
def test_statistics_and_solves_take_the_first_samples_and_tuning_all_but_those_that_judge(
    graph: Graph, limit: int
) -> None:
    shared = Context(OrtRunner(1), graph, Calibration.from_arrays({"x": np.arange(40)}), fit_samples=limit)
    assert seen(shared.fitting()) == list(range(min(limit, 30)))
    assert seen(shared.solving()) == list(range(min(limit, 40)))
    assert (seen(shared.learning()), seen(shared.judging(128))) == (list(range(30)), list(range(30, 40)))


@pytest.mark.parametrize("samples", [8, 16, 80])
def test_fixed_batches_stay_whole(graph: Graph, samples: int) -> None:
    whole = Calibration.from_arrays({"x": np.arange(samples)})
    shared = Context(OrtRunner(1), graph, Calibration(whole.source, samples, step=8))
    for part in (shared.fitting(), shared.judging(128)):
        assert part.samples % 8 == 0 < part.samples


def test_randomness_starts_anew(graph: Graph) -> None:
    shared = Context(OrtRunner(1), graph, seed=3)
    assert (
        shared.rng().integers(1 << 60)
        == shared.rng().integers(1 << 60)
        != Context(OrtRunner(1), graph).rng().integers(1 << 60)
    )
