"""Several decisions carried out: the result stays whose outputs are nearest to the original's, and its plan."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.runner import Runner
from optimise_onnx.passes.analysis.statistics.judge import Judge, judge
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cache import DiskCache
from optimise_onnx.passes.plan import Decision, Plan
from optimise_onnx.passes.search import candidates
from optimise_onnx.passes.search.candidates import Candidate, Evaluator
from tests.passes.decompose.passing import calibrated, network, run

DOING = "remove-channels,reconstruct"


def decision(context: Context, kept: int, name: float | None = None) -> Decision:
    """Let every group that was ranked keep so many rounds."""
    ranking = context.plan.ranking
    assert ranking is not None
    groups = [group for group in ranking.channels.groups if group.name in ranking.groups]
    assert min(group.width for group in groups) > kept
    widths = {group.name: group.width - kept for group in groups}
    return Decision(widths, figures={"kept": float(kept if name is None else name)})


def prepared(count: int) -> tuple[Graph, Context]:
    """Rank the channels of a small network."""
    graph, shared = calibrated(network("residual"), count)
    run(f"select-channels{{criterion={'obs' if count else 'magnitude'}}}", graph, shared)
    return graph, shared


def best(graph: Graph, shared: Context, alternatives: Sequence[Decision]) -> Candidate:
    """Carry out decisions, as ``allocate`` leaves them: the first one's are in force. The others are left alone."""
    before, plan = graph.to_model(), shared.plan
    steps = shared.parse(DOING)
    found = Evaluator(graph, shared, steps).best(
        replace(plan, decision=alternatives[0], alternatives=tuple(alternatives))
    )
    assert graph.to_model() == before and shared.plan is plan
    return found


def finished(kept: Sequence[int], count: int = 24) -> tuple[Candidate, Context]:
    """Carry out decisions on widths."""
    graph, shared = prepared(count)
    return best(graph, shared, [decision(shared, each) for each in kept]), shared


def widths(graph: Graph) -> set[int]:
    """Output channels of all convolutions."""
    return {node.inputs[1].array.shape[0] for node in graph.nodes if node.op == "Conv"}


@pytest.mark.parametrize("kept", [(18, 3), (3, 18), (3, 18, 2)])
def test_the_result_nearest_to_the_original_stays(kept: tuple[int, ...]) -> None:
    found, _ = finished(kept)
    assert widths(found.graph) == {18}
    assert found.plan.decision == Decision(figures={"kept": 18.0})
    assert found.plan.alternatives == () and found.plan.ranking is None
    assert [record.name for record in found.records] == ["remove-channels", "reconstruct"]
    alone, _ = finished((18,))
    assert found.graph.to_model() == alone.graph.to_model()


def test_of_equal_results_the_first_stays() -> None:
    graph, shared = prepared(24)
    found = best(graph, shared, [decision(shared, 9, 1), decision(shared, 9, 2)])
    assert found.plan.decision.figures == {"kept": 1.0}


@pytest.mark.parametrize(("kept", "count"), [((5,), 24), ((5, 18), 0)])
def test_without_choice_or_data_the_first_is_carried_out(kept: tuple[int, ...], count: int) -> None:
    found, _ = finished(kept, count)
    assert widths(found.graph) == {5}
    assert found.plan.decision.figures == {"kept": 5.0}
    assert [record.name for record in found.records] == ["remove-channels", "reconstruct"]


def test_without_alternatives_what_is_decided_is_carried_out() -> None:
    graph, shared = prepared(24)
    plan = replace(shared.plan, decision=decision(shared, 7))
    assert widths(Evaluator(graph, shared, shared.parse(DOING)).best(plan).graph) == {7}


def test_they_are_judged_on_samples_that_nothing_was_fitted_to(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Calibration] = []

    def watched(graph: Graph, samples: Calibration, runner: Runner) -> Judge:
        seen.append(samples)
        return judge(graph, samples, runner)

    monkeypatch.setattr(candidates, "judge", watched)
    _, shared = finished((18, 3))
    (used,) = (next(iter(samples.batches(1000)))["x"] for samples in seen)
    fitted = next(iter(shared.fitting().batches(1000)))["x"]
    assert len(used) == 6 and not any((used == one).all((1, 2, 3)).any() for one in fitted)


def test_a_search_that_was_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried, plain = list[float](), Evaluator.carried_out

    def counting(self: Evaluator, plan: Plan) -> Candidate:
        tried.append(plan.decision.figures["kept"])
        if len(tried) == 3:
            raise KeyboardInterrupt
        return plain(self, plan)

    graph, shared = prepared(24)
    shared.cache = DiskCache(tmp_path)
    alternatives = [decision(shared, each) for each in (3, 18, 2)]
    monkeypatch.setattr(Evaluator, "carried_out", counting)
    with pytest.raises(KeyboardInterrupt):
        best(graph, shared, alternatives)
    found = best(graph, shared, alternatives)
    assert tried == [3, 18, 2, 2]
    alone, _ = finished((18,))
    assert found.graph.to_model() == alone.graph.to_model()
    assert found.plan.decision.figures == {"kept": 18.0} and found.plan.reference is not None
    assert [record.name for record in found.records] == ["remove-channels", "reconstruct"]
