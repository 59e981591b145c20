"""Criteria on a trained network: what their choices cost the readers, and the outputs after reconstruction."""

from functools import cache

import digits
import numpy as np
import pytest

from optimise_onnx.passes.analysis.channels.ranking import Ranking
from optimise_onnx.passes.analysis.channels.readers import Reader, readers
from optimise_onnx.passes.analysis.statistics.compensation import compensated
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.select.criteria import CRITERIA
from optimise_onnx.passes.select.criterion import ByReaders
from tests.passes.select.support import Array

CHANCES = 3


def compensated_loss(reading: list[Reader], stays: Array) -> float:
    """Relative output error, summed over readers, when they make up for what went."""
    total = 0.0
    for one in reading:
        assert one.cov is not None and one.mean is not None
        rows = np.where(one.unit >= 0, stays[one.unit], True)
        rest = one.weight - compensated(one.weight, one.cov, one.mean, rows, 1e-4)[0]
        total += np.einsum("dm,de,em->", rest, one.cov, rest) / np.einsum("dm,de,em->", one.weight, one.cov, one.weight)
    return float(total)


@cache
def measured() -> tuple[dict[str, list[Reader]], dict[str, tuple[int, int]]]:
    """The readers of every group, and its cells and width."""
    shared = digits.context()
    view = shared.view(digits.network())
    channels, moments = view.channels, shared.moments(view)
    weights: dict[str, Array] = {}
    found = {g.name: readers(view.graph, channels, g, view.layers, moments, weights) for g in channels.groups}
    return found, {g.name: g.cells.shape for g in channels.groups}


def halved(criterion: ByReaders) -> Array:
    """What half of each group costs its readers, by group."""
    reading, forms = measured()
    losses = []
    for name, form in forms.items():
        order, curve = criterion.score(reading[name], form, np.random.default_rng(0))
        assert np.isfinite(curve).all()
        gone = order[: form[1] // 2]
        losses.append(compensated_loss(reading[name], ~np.isin(np.arange(form[0] * form[1]), gone)))
    return np.array(losses)


def test_elimination_costs_the_readers_least() -> None:
    losses = {name: halved(each) for name, each in CRITERIA.items() if isinstance(each, ByReaders)}
    for criterion, loss in losses.items():
        if criterion not in ("compensation", "genetic", "genetic-quadratic", "obs", "obs-swap", "particle"):
            assert (losses["obs"] < loss).all(), criterion
        assert losses["obs"].mean() < 1.01 * loss.mean(), criterion
        if criterion != "random":
            assert loss.mean() < 0.9 * losses["random"].mean(), criterion
    assert losses["activation"].mean() < losses["magnitude"].mean()


def divergence(criterion: str, seed: int = 0) -> float:
    """Divergence on unseen images with half of every group gone, reconstructed."""
    shared: Context = digits.context(128, seed)
    return digits.examiner().of(
        digits.run(f"select-channels{{criterion={criterion},keep=0.5}},remove-channels,reconstruct", shared)
    )


@cache
def by_chance() -> float:
    return float(np.mean([divergence("random", seed) for seed in range(CHANCES)]))


@pytest.mark.parametrize("criterion", sorted(CRITERIA.keys() - {"random"}))
def test_every_criterion_beats_chance(criterion: str) -> None:
    assert divergence(criterion) < 0.9 * by_chance()


def test_chance_differs_from_group_to_group_and_by_seed() -> None:
    rankings: list[Ranking] = []
    for seed in (0, 0, 1):
        shared = digits.context(8, seed)
        digits.run("select-channels{criterion=random}", shared)
        assert shared.plan.ranking is not None
        rankings.append(shared.plan.ranking)
    orders = [[(g.order - g.order.min()).ravel().tolist() for g in r.groups.values()] for r in rankings]
    assert orders[0] == orders[1] != orders[2]
    assert len({tuple(order) for order in orders[0]}) == len(orders[0])


@pytest.mark.parametrize("criterion", sorted(CRITERIA))
def test_one_image_is_enough_to_go_on(criterion: str) -> None:
    graph = digits.run(f"select-channels{{criterion={criterion},keep=0.5}},remove-channels", digits.context(1))
    (scores,) = digits.RUNNER.session(graph).run({"image": digits.samples().test_image[:2]}).values()
    assert np.isfinite(scores).all()
