"""What the sweeps claim of every tensor, against the values the model computes."""

import zlib

import numpy as np
import pytest

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.channels.labels import Propagation
from optimise_onnx.passes.cleanup.constant_channels import ConstantChannels
from optimise_onnx.passes.cleanup.numbering import Numbering
from tests.oracle import graph_of
from tests.passes.cleanup.patterns import KINDS, patterned
from tests.passes.cleanup.support import Array
from tests.zoo import ZOO


def drawn(name: str, kind: str) -> tuple[Propagation, dict[str, Array]]:
    """Give a model patterned weights; return its shapes and the values of its tensors for random inputs of these."""
    graph = graph_of(ZOO[name]())
    patterned(graph, kind, np.random.default_rng(zlib.crc32(name.encode())))
    ctx = analyse(graph).context
    rng = np.random.default_rng(0)
    feeds = {}
    for tensor in graph.inputs:
        size, dtype = ctx.shape(tensor), np.dtype(tensor.dtype)
        values = rng.standard_normal(size) if dtype.kind == "f" else rng.integers(0, 2, size)
        feeds[tensor.name] = np.asarray(values).astype(dtype)
    return ctx, computed(graph, feeds)


def computed(graph: Graph, feeds: dict[str, Array]) -> dict[str, Array]:
    """Return every float tensor that a node makes."""
    names = [tensor.name for node in graph.nodes for tensor in node.outputs if tensor.name]
    values = OrtRunner(1).session(graph, outputs=names, exact=True).run(feeds)
    return {name: array.astype(np.float64) for name, array in values.items() if array.dtype.kind == "f"}


@pytest.mark.parametrize("name", ZOO)
def test_numbers_and_constants_hold(name: str) -> None:
    """Entries with one number are equal, constant channels have their value."""
    ctx, values = drawn(name, KINDS[zlib.crc32(name.encode()) % len(KINDS)])
    numbers, constants = Numbering(ctx).facts, ConstantChannels(ctx).facts
    for tensor, array in values.items():
        if np.isfinite(array).all():
            if tensor in numbers:
                assert_equal(numbers[tensor].values, array)
            if tensor in constants:
                assert_constant(constants[tensor].values, array)


def assert_equal(number: Array, array: Array) -> None:
    """Entries of one number must be one function of the indices along the axes where numbers do not vary."""
    rank = array.ndim
    number = number.reshape((1,) * (rank - number.ndim) + number.shape)
    vary = [axis for axis in range(rank) if number.shape[axis] > 1]
    rows = np.moveaxis(array, vary, range(len(vary))).reshape(number.size, -1)
    scale = np.abs(rows).max(initial=0.0)
    for one in np.unique(number):
        same = rows[np.flatnonzero(number.ravel() == one)]
        assert np.abs(same - same[0]).max() <= 1e-5 * scale


def assert_constant(claimed: Array, array: Array) -> None:
    """Where a value is claimed, it is there."""
    claimed = np.broadcast_to(claimed, array.shape)
    known = ~np.isnan(claimed)
    assert np.allclose(array[known], claimed[known], rtol=1e-4, atol=1e-5 * np.abs(array).max(initial=1.0))
