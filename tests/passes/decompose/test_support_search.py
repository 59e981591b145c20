"""Supports by a particle filter: never worse than the greedy choice, and about the best there are."""

from itertools import combinations

import numpy as np
import pytest

from optimise_onnx.passes.decompose import support_search
from optimise_onnx.passes.decompose.support_search import rows_on, searched
from optimise_onnx.passes.decompose.supports import Choice, choose, explained

Array = np.ndarray


def layer(seed: int, maps: int, taps: int, outputs: int = 5) -> tuple[Array, Array]:
    """Covariances of correlated inputs, and of them with what a random layer gives."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((maps * taps, maps * taps + 3)) * rng.uniform(0.2, 1, (maps * taps, 1))
    cov = mixed @ mixed.T
    return cov, cov @ rng.standard_normal((maps * taps, outputs))


def choices(maps: int) -> dict[str, Choice]:
    """Whole kernels or nothing; whole kernels or their middle tap; rows or columns that share a tap. Nine taps."""
    rows = np.arange(maps * 9).reshape(maps, 9)
    return {
        "kernels": Choice(rows[:, :0], rows, rows[:, :0]),
        "taps": Choice(rows[:, [4]], rows[:, [0, 1, 2, 3, 5, 6, 7, 8]], rows[:, :0]),
        "lines": Choice(rows[:, [4]], rows[:, [3, 5]], rows[:, [1, 7]]),
    }


@pytest.mark.parametrize("kind", ["kernels", "taps", "lines"])
def test_of_20_layers_18_at_least_get_the_best_of_all_supports(kind: str) -> None:
    found = greedily = 0
    for seed in range(20):
        cov, cross = layer(seed, 8, 9)
        choice = choices(8)[kind]
        every = [np.isin(np.arange(8), each) for each in combinations(range(8), 3)]
        best = max(explained(cov, cross, rows_on(choice, marked)) for marked in every)
        marked, greedy = searched(cov, cross, choice, 3), choose(cov, cross, choice, 3)
        here, there = (explained(cov, cross, rows_on(choice, each)) for each in (marked, greedy))
        assert marked.sum() == 3 and here >= there
        found += here >= best * (1 - 1e-9)
        greedily += there >= best * (1 - 1e-9)
    assert found >= 18 and found >= greedily


def test_all_or_no_units_need_no_search() -> None:
    cov, cross = layer(0, 4, 9)
    assert (
        searched(cov, cross, choices(4)["kernels"], 4).all() and not searched(cov, cross, choices(4)["taps"], 0).any()
    )


def test_too_many_pieces_are_left_to_the_greedy_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    cov, cross = layer(3, 8, 9)
    every = choices(8)
    monkeypatch.setattr(support_search, "WIDEST", 5)  # 5 of 8 kernels go, and 8 of 16 lines
    monkeypatch.setattr(support_search, "filtered", None)
    assert (searched(cov, cross, every["lines"], 3) == choose(cov, cross, every["lines"], 3)).all()
    with pytest.raises(TypeError):
        searched(cov, cross, every["kernels"], 3)
