"""Several decisions carried out: the result stays whose outputs are nearest to the original's, and its decisions."""

from collections.abc import Sequence
from typing import Any

import pytest

from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.runner import Runner
from optimise_onnx.passes import trials
from optimise_onnx.passes.analysis.statistics.judge import Judge, judge
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.observers import Record
from optimise_onnx.passes.trials import finish
from tests.passes.decompose.passing import calibrated, network, run

DOING = "remove-channels,reconstruct"
Decisions = dict[str, Any]


def decisions(context: Context, kept: int) -> Decisions:
    """Let every group that was ranked keep so many rounds."""
    ranking = context.decisions["ranking"]
    groups = [group for group in ranking.channels.groups if group.name in ranking.groups]
    assert min(group.width for group in groups) > kept
    removed = {group.name: group.width - kept for group in groups}
    return {"removed": removed, "forms": {}, "figures": {"kept": float(kept)}}


def prepared(count: int) -> tuple[Graph, Context]:
    """Rank the channels of a small network."""
    graph, shared = calibrated(network("residual"), count)
    run(f"select-channels{{criterion={'obs' if count else 'magnitude'}}}", graph, shared)
    return graph, shared


def finished(kept: Sequence[int], count: int = 24) -> tuple[Graph, Context, list[Record]]:
    """Carry out decisions, as ``allocate`` leaves them: the first one's are in force."""
    graph, shared = prepared(count)
    alternatives = tuple(decisions(shared, each) for each in kept)
    shared.decisions |= {"alternatives": alternatives, **alternatives[0]}
    shared.cached["stale"] = True
    return graph, shared, finish(graph, shared, PassManager.parse(DOING))


def widths(graph: Graph) -> set[int]:
    """Output channels of all convolutions."""
    return {node.inputs[1].array.shape[0] for node in graph.nodes if node.op == "Conv"}


@pytest.mark.parametrize("kept", [(18, 3), (3, 18), (3, 18, 2)])
def test_the_result_nearest_to_the_original_stays(kept: tuple[int, ...]) -> None:
    graph, shared, records = finished(kept)
    assert widths(graph) == {18}
    assert shared.decisions["figures"] == {"kept": 18.0}
    assert "alternatives" not in shared.decisions and "stale" not in shared.cached
    assert [record.name for record in records] == ["remove-channels", "reconstruct"]
    alone, _, _ = finished((18,))
    assert graph.to_model() == alone.to_model()


def test_of_equal_results_the_first_stays() -> None:
    _, shared, _ = finished((9, 9))
    one, other = decisions(shared, 9), decisions(shared, 9)
    graph, fresh = prepared(24)
    one["figures"], other["figures"] = {"kept": 1.0}, {"kept": 2.0}
    fresh.decisions |= {"alternatives": (one, other), **one}
    finish(graph, fresh, PassManager.parse(DOING))
    assert fresh.decisions["figures"] == {"kept": 1.0}


@pytest.mark.parametrize(("kept", "count"), [((5,), 24), ((5, 18), 0)])
def test_without_choice_or_data_the_first_is_carried_out(kept: tuple[int, ...], count: int) -> None:
    graph, shared, records = finished(kept, count)
    assert widths(graph) == {5}
    assert shared.decisions["figures"] == {"kept": 5.0}
    assert [record.name for record in records] == ["remove-channels", "reconstruct"]


def test_without_alternatives_what_is_decided_is_carried_out() -> None:
    graph, shared = prepared(24)
    shared.decisions |= decisions(shared, 7)
    finish(graph, shared, PassManager.parse(DOING))
    assert widths(graph) == {7}


def test_they_are_judged_on_samples_that_nothing_was_fitted_to(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Calibration] = []

    def watched(graph: Graph, samples: Calibration, runner: Runner) -> Judge:
        seen.append(samples)
        return judge(graph, samples, runner)

    monkeypatch.setattr(trials, "judge", watched)
    _, shared, _ = finished((18, 3))
    (used,) = (next(iter(samples.batches(1000)))["x"] for samples in seen)
    fitted = next(iter(shared.fitting().batches(1000)))["x"]
    assert len(used) == 6 and not any((used == one).all((1, 2, 3)).any() for one in fitted)
