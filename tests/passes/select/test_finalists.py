"""Orders from a search over sets: what decides between the sets that it ends with."""

import numpy as np
import pytest

from optimise_onnx.passes.select import finalists
from optimise_onnx.passes.select.conditional import Part, compensated_curve
from optimise_onnx.passes.select.finalists import ON_NETWORK, compensated_losses, in_quarters
from optimise_onnx.passes.select.obs_swap import eliminated

Array = np.ndarray


def parts(seed: int, units: int = 8, taps: int = 3) -> list[Part]:
    """Two readers of correlated channels."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(2):
        mixed = rng.standard_normal((units * taps, units * taps + 2))
        unit = np.repeat(np.arange(units), taps)
        found.append(Part(mixed @ mixed.T, rng.standard_normal((units * taps, 4)), unit, np.ones(len(unit), bool)))
    return found


def test_losses_are_those_of_the_curve() -> None:
    given, order = parts(0), np.random.default_rng(1).permutation(8)
    sets = np.array([np.isin(np.arange(8), order[:count]) for count in (1, 3, 8)])
    curve = compensated_curve(given, order[:, None])
    np.testing.assert_allclose(compensated_losses(given, sets), curve[[1, 3, 8]], rtol=1e-9)


def test_a_reader_loses_nothing_by_what_it_does_not_read() -> None:
    first, second = parts(0)
    early = Part(first.covariance[:12, :12], first.weight[:12], first.unit[:12], first.moves[:12])
    late = np.array([[False] * 4 + [True] * 4, [True] * 4 + [False] * 4])
    alone = compensated_losses([second], late)
    np.testing.assert_allclose(
        compensated_losses([early, second], late), alone + [0, np.vdot(early.weight, early.covariance @ early.weight)]
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_search_that_finds_nothing_better_leaves_the_greedy_choice(seed: int) -> None:
    given = parts(seed)

    def poor(_gram: Array, cell_of: Array, count: int, rng: np.random.Generator) -> Array:
        free = np.flatnonzero(cell_of >= 0)
        return np.isin(np.arange(8), rng.choice(free, count, replace=False))[None]

    order = in_quarters(poor, given, (1, 8), np.random.default_rng(0)).ravel()
    greedy = eliminated(given, np.zeros(8, int), np.zeros(8, bool))
    first, by_greed = (np.isin(np.arange(8), each[:2])[None] for each in (order, greedy))
    assert compensated_losses(given, first)[0] <= compensated_losses(given, by_greed)[0] * (1 + 1e-9)


def test_the_network_has_the_last_word_where_losses_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = list[Array]()
    monkeypatch.setattr(finalists, "ALIKE", 1e9)

    def found(_gram: Array, cell_of: Array, count: int, _rng: np.random.Generator) -> Array:
        free = np.flatnonzero(cell_of >= 0)
        return np.array([np.isin(np.arange(8), free[start : start + count]) for start in range(len(free) - count)])

    def moved(stays: Array) -> float:
        return float(stays @ np.arange(8))

    def network(stays: Array) -> float:
        judged.append(stays)
        return moved(stays)

    order = in_quarters(found, parts(0), (1, 8), np.random.default_rng(0), network).ravel()
    assert sorted(order.tolist()) == list(range(8))
    first = [stays for stays in judged if (~stays).sum() == 2]
    assert len(first) == ON_NETWORK
    assert moved(np.isin(np.arange(8), order[:2], invert=True)) == min(map(moved, first))
    judged.clear()
    monkeypatch.setattr(finalists, "ALIKE", 1.0)
    in_quarters(found, parts(0), (1, 8), np.random.default_rng(0), network)
    assert not judged  # no two sets lose the same
