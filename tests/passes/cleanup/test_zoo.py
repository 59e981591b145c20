"""No pass changes an output of any model of the zoo, as it is or with weights full of duplicates and zeros."""

import zlib

import numpy as np
import pytest

from tests.oracle import distance, graph_of, run
from tests.passes.cleanup.patterns import KINDS, patterned
from tests.passes.cleanup.support import PASSES, applied, parameters
from tests.zoo import ZOO, feeds

SHRUNK = {
    "resnet_projection": "alike",
    "mobilenet_v2": "repeated",
    "densenet": "multiples",
    "shufflenet_v1": "zeros",
    "resnext": "zeros and repeated",
    "unet": "repeated",
    "se_residual": "zeros",
    "vit": "alike",
}


@pytest.mark.parametrize("name", sorted(ZOO)[::2])
def test_no_output_changes(name: str) -> None:
    model = ZOO[name]()
    graph = graph_of(model)
    for step in PASSES:
        result, (outcome,) = applied(graph, step)
        if outcome.changed:
            assert distance(graph, result, feeds(model, 1)) < 1e-5, step.name
            assert not applied(result, step)[1][0].changed, step.name


@pytest.mark.parametrize("name", sorted(ZOO)[1::2])
def test_no_output_changes_with_patterned_weights(name: str) -> None:
    model = ZOO[name]()
    graph = graph_of(model)
    place = zlib.crc32(name.encode())
    patterned(graph, KINDS[place % len(KINDS)], np.random.default_rng(place))
    inputs = feeds(model, 1)
    if not all(np.isfinite(array).all() for array in run(graph, inputs) if array.dtype.kind == "f"):
        pytest.skip("the patterned weights overflow")
    result, _ = applied(graph, *PASSES)
    # Ten times looser: weights that are all alike make large activations that cancel.
    assert distance(graph, result, inputs) < 1e-4


@pytest.mark.parametrize("name", SHRUNK)
def test_patterns_shrink_networks(name: str) -> None:
    model = ZOO[name]()
    graph = graph_of(model)
    patterned(graph, SHRUNK[name], np.random.default_rng(0))
    result, _ = applied(graph, *PASSES)
    assert distance(graph, result, feeds(model, 1)) < 1e-4
    assert parameters(result) < parameters(graph)
