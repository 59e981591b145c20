"""The search that corrects a model of time by measuring: what it returns, and how little it measures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimise_onnx.passes.allocate.measured_search import Candidate, search

Times = Callable[[float], float]


@dataclass
class Model:
    """Choices are per cents of the original's time as modelled, from ``least`` in steps; less time, more error."""

    truth: Times
    least: int = 1
    step: int = 1
    asked: list[list[int]] = field(default_factory=list)

    def propose(self, share: float) -> tuple[int, float, float]:
        assert 0 < share <= 1
        choice = max(int(100 * share + 1e-9) // self.step * self.step, self.least)
        return choice, choice / 100, 100.0 - choice

    def measure(self, choices: Sequence[int]) -> list[float]:
        self.asked.append(list(choices))
        return [self.truth(choice / 100) for choice in choices]

    def found(self, limit: float) -> Candidate[int]:
        return search(limit, self.propose, self.measure)

    @property
    def known(self) -> dict[int, float]:
        """Every choice that was measured, and its time."""
        return {choice: self.truth(choice / 100) for choices in self.asked for choice in choices}


def test_of_those_within_the_limit_the_least_error_is_taken() -> None:
    model = Model(lambda share: share)
    assert model.found(0.5) == Candidate(50, 50.0, 0.5, 0.5, 0.5)
    assert model.asked == [[48, 50, 52], [50]]


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1, 1.2])
@pytest.mark.parametrize("limit", [0.51, 0.81])
def test_a_model_that_is_off_is_corrected(factor: float, limit: float) -> None:
    model = Model(lambda share: factor * share)
    found = model.found(limit)
    assert 0.96 * limit <= found.measured <= limit
    assert found.measured == pytest.approx(factor * found.predicted)


def test_a_constant_that_the_model_does_not_know_is_found_out() -> None:
    found = Model(lambda share: 0.1 + 0.9 * share).found(0.5)
    assert 0.47 <= found.measured <= 0.5


def test_the_quickest_where_none_is_in_time() -> None:
    model = Model(lambda share: max(share, 0.4), least=10)
    found = model.found(0.2)
    assert found.measured == 0.4
    strange = Model(lambda share: 0.9 - abs(share - 0.5))
    slow = strange.found(0.2)
    assert slow.measured == min(strange.known.values()) > 0.2


def test_the_least_is_measured_where_nothing_less_is_proposed() -> None:
    model = Model(lambda share: share, least=60)
    assert model.found(0.5).choice == 60
    assert model.asked == [[60]]


def test_the_aim_is_never_more_than_all() -> None:
    model = Model(lambda share: 0.1 * share)
    found = model.found(0.9)
    assert found.choice == 100


@given(
    st.floats(0.1, 0.9),
    st.lists(st.floats(0.05, 1.5), min_size=100, max_size=100),
    st.integers(1, 20),
    st.integers(1, 60),
)
def test_little_is_measured_and_only_the_best_twice(limit: float, times: list[float], step: int, least: int) -> None:
    """Whatever the device says."""
    model = Model(lambda share: times[round(100 * share) - 1], least, step)
    found = model.found(limit)
    within = [choice for choice, time in model.known.items() if time <= limit]
    *once, last = model.asked if within else [*model.asked, [found.choice]]
    assert len(once) <= 5 and all(1 <= len(choices) <= 3 for choices in once)
    assert sum(map(len, once)) == len(model.known) and last == [found.choice]
    assert found.choice == max(within) if within else found.measured == min(model.known.values())


def test_what_was_only_measured_well_is_not_taken() -> None:
    lucky = iter([0.3])
    model = Model(lambda share: next(lucky, 0.6) if share == 0.52 else share)
    assert model.found(0.5).choice == 50
    assert model.asked == [[48, 50, 52], [52], [50]]
