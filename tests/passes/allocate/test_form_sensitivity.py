"""What forms do to the outputs: interpolated, measured, and remembered."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import distance
from zoo import ZOO, feeds

from optimise_onnx.ir.cost import cost, total
from optimise_onnx.passes.allocate.allocate import Allocate
from optimise_onnx.passes.allocate.form_sensitivity import Sensitivity, Substitutes, sensitivities
from optimise_onnx.passes.allocate.problem import Problem, Widths
from optimise_onnx.passes.analysis.costs.sums import MACS
from optimise_onnx.passes.analysis.costs.target import Target
from optimise_onnx.passes.analysis.statistics.judge import judge
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import apply
from optimise_onnx.passes.plan import Decision, Plan
from tests.passes.decompose.passing import calibrated, network, run


def task_of(name: str, forms: str = "all", samples: int = 32) -> tuple[Problem, Context, Substitutes]:
    """Rank a network and offer it forms."""
    graph, shared = calibrated(ZOO[name]() if name in ZOO else network(name), samples)
    graph = run("fold-constants,fold-batch-norm", graph, shared)
    run(f"select-channels,offer-forms{{forms={forms}}}", graph, shared)
    ranking, offers = shared.plan.ranking, shared.plan.offers
    assert ranking is not None and offers is not None
    task = Problem.of(graph, ranking, shared.runner, MACS, 0.0, True, Widths(1, 1.0), offers)
    return task, shared, Substitutes(shared.moments(shared.view(graph)))


@given(st.floats(-8, -1), st.floats(0.1, 1), st.floats(0.01, 100), st.floats(0.01, 100))
def test_what_was_measured_is_given_back(place: float, step: float, first: float, second: float) -> None:
    errors = 10.0 ** np.array([place, place + step])
    known = Sensitivity(errors, errors * [first, second])
    np.testing.assert_allclose(known.of(errors), known.divergences, rtol=1e-9)
    inside = known.of(np.array([np.sqrt(errors.prod())])) / np.sqrt(errors.prod())
    assert min(first, second) * (1 - 1e-9) <= inside[0] <= max(first, second) * (1 + 1e-9)
    np.testing.assert_allclose(known.of(errors[:1] / 10), errors[0] * first / 10, rtol=1e-9)
    np.testing.assert_allclose(known.of(errors[1:] * 10), errors[1] * second * 10, rtol=1e-9)


def test_a_substitute_is_the_layer_that_is_written_later() -> None:
    task, shared, substitutes = task_of("residual")
    for offer in task.offers:
        form = offer.menu(MACS, offer.errors).forms[-1]
        copies = [task.graph.copy(), task.graph.copy()]
        for copy in copies:  # the second time it is not fitted again
            substitutes.write(copy, offer.layer, form)
        plan = Plan(decision=Decision(forms={offer.layer.node: form}))
        fresh = Context(shared.runner, task.graph, shared.calibration, plan=plan)
        written = run("decompose", task.graph, fresh)
        inputs = feeds(network("residual"), 3, 4)
        assert distance(copies[0], written, inputs) < 2e-4
        assert copies[0].to_model() == copies[1].to_model()


def test_sensitivities_are_what_the_judge_says() -> None:
    task, shared, substitutes = task_of("residual")
    found = sensitivities(task, shared, 8)
    examiner = judge(task.graph, shared.judging(8), shared.runner)
    assert len(found) == len(task.offers) > 2
    parts = [(layer, part) for offer, layer in zip(task.offers, found, strict=True) for part in offer.apart()]
    for layer, part in parts:
        menu, known = part.menu(MACS, part.errors), layer[part.families[0].name]
        assert (np.diff(known.errors) > 0).all()
        for error, divergence in zip(known.errors, known.divergences, strict=True):
            copy = task.graph.copy()
            substitutes.write(copy, part.layer, menu.forms[menu.errors.tolist().index(error)])
            assert divergence == pytest.approx(examiner.of(copy), rel=1e-6)


def test_a_layer_of_which_no_form_saves_anything_keeps_its_own() -> None:
    """Where one place of the output reads the whole image, the first half of a pair runs at more places."""
    task, shared, _ = task_of("tiny", "stretch")
    fast = [bool(offer.menu(MACS, offer.errors).forms) for offer in task.offers]
    assert not all(fast)
    found = sensitivities(task, shared, 8)
    assert [layer["stretch"].errors.size > 0 for layer in found] == fast


def test_allocation_goes_on_where_no_form_saves_anything() -> None:
    model = network("tiny")
    graph, shared = calibrated(model, 16)
    found = run(
        "select-channels,offer-forms{forms=stretch},allocate{target=macs=0.6x},remove-channels,decompose",
        graph,
        shared,
    )
    assert total(cost(found)).macs <= 0.6 * total(cost(graph)).macs


class Priced:
    """Keeps the price of the last choice that was weighed."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.prices: list[float] = []
        original = Problem.price

        def price(task: Problem, choice: Any) -> float:
            self.prices.append(original(task, choice))
            return self.prices[-1]

        patch.setattr(Problem, "price", price)


CASES = [
    ("concat_dense_chain", "macs"),
    ("resnext", "params"),
    ("residual", "bytes"),
    ("matmul", "macs"),
    ("mobilenet_v2", "bytes"),
]


@pytest.mark.parametrize(("name", "kind"), CASES[::3])
def test_the_price_is_what_the_rewritten_graph_costs(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ZOO[name]() if name in ZOO else network(name)
    graph, shared = calibrated(model, 8)
    graph = run("fold-constants,fold-batch-norm", graph, shared)
    shared.original = graph
    target, priced = Target.parse(f"{kind}=0.6x"), Priced(monkeypatch)
    run("select-channels,offer-forms", graph, shared)
    apply(Allocate(target=str(target)), graph, shared)
    found = run("remove-channels,decompose,reconstruct", graph, shared)
    real, budget = target.quantity.of(found), target.budget(target.quantity.of(graph))
    price = next(price for price in reversed(priced.prices) if price <= budget)
    assert real <= budget
    if kind == "macs":
        assert real in priced.prices
    else:
        assert any(real <= each <= 1.03 * real + 200 for each in priced.prices), (real, price)


def test_offers_are_used_once() -> None:
    graph, shared = calibrated(network("residual"), 16)
    run("select-channels,offer-forms,allocate{target=macs=0.8x}", graph, shared)
    assert shared.plan.offers is None
