"""Moments of shards add up to those of one pass, wherever and in whatever order they are taken."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from oracle import graph_of
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.workers import IN_PROCESS, Workers
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.layers.linear import linear_layers
from optimise_onnx.passes.analysis.statistics import input_moments as module
from optimise_onnx.passes.analysis.statistics.halves import Sums, merged
from optimise_onnx.passes.analysis.statistics.input_moments import StoredMoments, input_moments
from optimise_onnx.passes.analysis.statistics.moments import Moments

SAMPLES, BATCH, ROWS = 22, 4, 200


class Backwards:
    """Does the last item first."""

    def each(self, work: Callable[..., Any], held: Sequence[Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        yield from ((number, work(*held, items[number])) for number in reversed(range(len(items))))


def measured(workers: Workers = IN_PROCESS) -> StoredMoments:
    """Moments of a dense layer, summed in float32, and of a depthwise one and of groups, summed in float64."""
    b = Builder("shards")
    x = b.conv(b.input("x", ["N", 4, 8, 8]), 12)
    model = b.model(b.head(b.conv(b.conv(x, 12, group=12), 12, group=3)))
    graph = graph_of(model)
    shapes = analyse(graph).context.shapes
    layers = list(linear_layers(graph, shapes).values())
    data = Calibration.from_arrays(feeds(model, 0, SAMPLES))
    return input_moments(
        graph, layers, shapes, data, OrtRunner(1), np.random.default_rng(3), rows=ROWS, workers=workers
    )


def test_shards_add_up_to_one_pass_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "batch_for", lambda *_: BATCH)
    whole = measured()
    monkeypatch.setattr(module, "_SHARD", 1)
    monkeypatch.setattr(module, "_BATCHES", 2)
    parts, backwards = measured(), measured(Backwards())
    tolerances = {}
    for node in whole:
        one, other = whole[node], parts[node]
        single = one.cov.shape[0] == 1
        tolerances[node] = tolerance = 1e-5 if single else 1e-12
        for name in ("mean", "cov"):
            expected = getattr(one, name)
            size = np.abs(expected).max()
            np.testing.assert_allclose(getattr(other, name), expected, atol=tolerance * size, rtol=0)
            assert getattr(backwards[node], name).tobytes() == getattr(other, name).tobytes()
    assert sorted(tolerances.values()).count(1e-12) == 2


def test_sums_of_any_parts_are_those_of_all_rows() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((90, 5)) + 1e3
    whole = sums(rows)
    found = None
    for part in np.split(rows, [7, 8, 50]):
        found = merged(found, sums(part))
    assert found is not None and found.count == 90
    np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(found.cov, whole.cov, rtol=0, atol=1e-12 * np.abs(whole.cov).max())


def sums(rows: Any) -> Sums:
    """Sums of rows (n, d), as one group's."""
    state = Moments(rows.shape[1], 0)
    state.update(rows, rows[:, :0])
    return Sums(len(rows), state.mean_x[None], state.cov_xx[None])
