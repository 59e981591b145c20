"""Latency on a clock that only sessions move: how often they run, in which order, and what is made of their times."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import count

import numpy as np
import pytest

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.backends.ort.stopwatch import latency, quantiles, thread_clock
from optimise_onnx.ir.feeds import Feeds
from optimise_onnx.ir.graph import Array
from optimise_onnx.ir.timing import Comparison, Interval, Latency, median


@dataclass
class Clock:
    """Tells the seconds that sessions have spent, and which ran."""

    now: float = 0.0
    log: list[str] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now


@dataclass
class Timed:
    """A session whose n-th run takes ``seconds(n)``."""

    name: str
    clock: Clock
    seconds: Callable[[int], float]
    runs: count = field(default_factory=count)  # type: ignore[type-arg]

    def run(self, feeds: Mapping[str, Array]) -> Feeds:
        self.clock.log.append(self.name)
        self.clock.now += self.seconds(next(self.runs))
        return {}


@dataclass
class Spending:
    """A session that does what it is told."""

    run: Callable[[Mapping[str, Array]], Feeds]


def pair(first: Callable[[int], float], second: Callable[[int], float]) -> tuple[Clock, list[Timed]]:
    clock = Clock()
    return clock, [Timed("A", clock, first), Timed("B", clock, second)]


def test_rounds_go_forwards_and_backwards_and_begin_with_each_in_turn() -> None:
    clock, sessions = pair(lambda _: 0.002, lambda _: 0.001)
    found = latency(sessions, [{}, {}], 0, clock=clock)
    assert (found.rounds, found.warm_up) == (6, 3)
    assert "".join(clock.log) == "AB" * 3 + "ABBABAAB" * 3
    assert found.p50 == found.p95 == pytest.approx((2.0, 1.0))
    assert found.ratio == pytest.approx((0.5, 0.5, 0.5))
    assert found.differs


def test_one_model_is_compared_with_itself() -> None:
    clock = Clock()
    found = latency([Timed("A", clock, lambda n: 0.001 * (1 + n % 3))], [{}], 1, clock=clock)
    assert found.ratio == (1, 1, 1)
    assert not found.differs


def test_the_time_and_the_number_of_rounds_end_the_measurement() -> None:
    clock, sessions = pair(lambda _: 0.01, lambda _: 0.01)
    assert latency(sessions, [{}, {}], 1, clock=clock).rounds in (25, 26)
    assert latency(sessions, [{}, {}], 1, most=10, clock=clock).rounds == 10
    clock, sessions = pair(lambda _: 5.0, lambda _: 5.0)
    assert latency(sessions, [{}, {}], 1, clock=clock).rounds == 6


@pytest.mark.parametrize(
    ("seconds", "allowed", "runs"),
    [
        (lambda n: 0.001, 1.0, 6),
        (lambda n: 0.001 + 0.01 * 0.5**n, 1.0, 15),  # settles when a window is within 2 % of the one before
        (lambda n: 1e-6 + 0.001 * 0.9**n, 10.0, 30),  # never settles: the bound
        (lambda n: 1e-6 + 0.5**n, 1.0, 3),  # half the time is gone
    ],
)
def test_the_warm_up_lasts_until_times_settle(seconds: Callable[[int], float], allowed: float, runs: int) -> None:
    clock, sessions = pair(seconds, lambda _: 0.001)
    assert latency(sessions, [{}, {}], allowed, clock=clock).warm_up == runs


def test_percentiles_are_those_of_single_runs() -> None:
    clock, sessions = pair(lambda n: 0.1 if n % 10 == 0 else 0.001, lambda _: 0.001)
    found = latency(sessions, [{}, {}], 2, clock=clock)
    assert found.p50 == pytest.approx((1, 1))
    assert found.p95 == pytest.approx((100, 1))


def test_slow_moments_and_drift_cancel_in_the_ratio() -> None:
    clock = Clock()
    times = {"A": 0.002, "B": 0.0015}
    sessions = [Timed(name, clock, lambda _, base=base: base * (1 + clock.now)) for name, base in times.items()]
    found = latency(sessions, [{}, {}], 2, clock=clock)
    assert found.p95[0] / found.p50[0] > 1.2  # it drifts far
    assert found.ratio.middle == pytest.approx(0.75, rel=1e-3)


@pytest.mark.parametrize(
    ("ratio", "differs"),
    [
        ((0.80, 0.82, 0.84), True),
        ((0.98, 0.99, 1.01), False),
        ((0.993, 0.995, 0.998), False),  # two loads of one model differ as much
        ((1.02, 1.03, 1.04), True),
    ],
)
def test_a_difference_is_more_than_noise_and_placement(ratio: tuple[float, float, float], differs: bool) -> None:
    assert times_of(ratio).differs is differs
    assert Comparison(1.0, Interval(*ratio)).differs is differs


def times_of(ratio: tuple[float, float, float]) -> Latency:
    """Measured times whose ratio has this median between these ends."""
    low, middle, high = ratio
    shares = np.repeat([low, middle, high], [10, 1, 10])
    return Latency(np.stack([np.ones((2, 21)), np.tile(shares, (2, 1))], axis=-1).transpose(1, 0, 2), None, 3)


def test_cpu_time_counts_where_it_is_known_and_wall_time_stands_beside() -> None:
    """A second process takes the core away: the wall clock goes on, the thread's own does not."""
    clock, sessions = pair(lambda _: 0.002, lambda n: 0.001 * (1 + 9 * (n % 2)))
    busy = Clock()

    def run(session: Timed, seconds: float) -> Spending:
        def spend(_: Mapping[str, Array]) -> Feeds:
            busy.now += seconds
            return session.run({})

        return Spending(spend)

    found = latency([run(sessions[0], 0.002), run(sessions[1], 0.001)], [{}, {}], 1, clock=clock, busy=busy)
    assert found.clock == "cpu" and found.p95 == pytest.approx((2.0, 1.0))
    assert found.ratio == pytest.approx((0.5, 0.5, 0.5)) and found.last == pytest.approx((1e-3,) * 3)
    assert found.by_wall.clock == "wall" and found.by_wall.p95 == pytest.approx((2.0, 10.0))
    told = found.to_json()
    assert told["clock"] == "cpu" and told["wall"]["p95"] == pytest.approx((2.0, 10.0))


def test_two_measurements_are_taken_together() -> None:
    first, second = times_of((0.4, 0.5, 0.6)), times_of((0.5, 0.5, 0.5))
    both = first.joined(second)
    assert both.rounds == 42 and both.warm_up == 6 and both.ratio.middle == 0.5
    assert both.ratio.high - both.ratio.low < first.ratio.high - first.ratio.low
    together = Comparison(1.0, first.ratio, first.shares).joined(Comparison(4.0, second.ratio, second.shares))
    assert together.ratio == both.ratio and together.before == pytest.approx(2.5)
    assert Comparison.exact(1.0, 0.7).joined(Comparison.exact(1.0, 0.7)) == Comparison.exact(1.0, 0.7)


def test_loads_count_where_there_are_enough() -> None:
    """A hundred rounds that agree say no more than one where the next load shifts them all."""
    loads = [times_of((share,) * 3) for share in (0.5, 0.52, 0.54, 0.56, 0.58, 0.6)]
    loads = [replace(each, loads=(21,)) for each in loads]
    both = reduce(Latency.joined, loads)
    assert both.rounds == 126 and both.ratio == pytest.approx((0.5, 0.55, 0.6))
    assert both.last == pytest.approx((0.5, 0.55, 0.6)) and len(both.shares) == 6
    assert both.joined(both).ratio.high - both.joined(both).ratio.low < 0.1


@pytest.mark.parametrize(
    ("ends", "within", "beyond"),
    [
        ((0.5, 0.55, 0.6), True, False),
        ((0.5, 0.55, 0.61), False, False),
        ((0.11, 0.736, 0.77), False, False),
        ((0.6, 0.61, 0.62), False, False),
        ((0.61, 0.62, 0.63), False, True),
    ],
)
def test_the_whole_interval_decides(ends: tuple[float, float, float], within: bool, beyond: bool) -> None:
    interval = Interval(*ends)
    assert (interval.within(0.6), interval.beyond(0.6)) == (within, beyond)
    assert interval.undecided(0.6) is not (within or beyond)
    assert Interval(*(0.3 / 0.5,) * 3).within(0.6)


def test_the_thread_has_a_clock_of_its_own_where_it_is_alone() -> None:
    assert thread_clock(0) is thread_clock(2) is None
    clock = thread_clock(1)
    assert clock is not None
    before = clock()
    time.sleep(0.05)
    assert clock() - before < 0.04
    assert OrtRunner(1).busy is clock and OrtRunner(2).busy is None and OrtRunner(1, provider="Other").busy is None


def test_the_interval_is_two_of_the_sorted_values() -> None:
    values = np.random.default_rng(0).permutation(np.arange(1.0, 101))
    assert median(values) == (40, 50.5, 61)  # the 40th and the 61st of 100: a table of the sign test
    assert median(values[:6]) == (min(values[:6]), np.median(values[:6]), max(values[:6]))
    with pytest.raises(ValueError, match="5 values are too few"):
        median(values[:5])


def noisy(rounds: int, truth: float, rng: np.random.Generator) -> Interval:
    """Measure once: lognormal noise with rare long stops, and slow phases that both models share."""
    count = 8 * rounds + 200
    noise = iter(np.exp(0.1 * rng.standard_normal(count)) + (rng.random(count) < 0.03))
    clock, slow = Clock(), 1 + rng.random()

    def seconds(base: float) -> Callable[[int], float]:
        return lambda _: base * next(noise) * (1 + slow * (clock.now % 0.5 > 0.25))

    sessions = [Timed("A", clock, seconds(0.001)), Timed("B", clock, seconds(0.001 * truth))]
    return latency(sessions, [{}, {}], 60, most=rounds, clock=clock).ratio


@pytest.mark.parametrize("rounds", [6, 40])
def test_the_interval_holds_the_true_ratio_95_times_in_100(rounds: int) -> None:
    rng = np.random.default_rng(rounds)
    found = [noisy(rounds, 0.8, rng) for _ in range(1500)]
    held = np.mean([interval.low <= 0.8 <= interval.high for interval in found])
    assert 0.94 <= held <= 0.985  # the exact level is 95 to 98 %, by the number of rounds
    assert np.median([interval.middle for interval in found]) == pytest.approx(0.8, rel=0.01)


def test_quantiles_go_by_the_time_of_each_and_run_the_warm_model_only() -> None:
    log: list[str] = []

    def run(name: str) -> Callable[[], None]:
        def once() -> None:
            log.append(name)
            time.sleep(0.001 if len(log) < 2 or log[-2] == name else 0.01)

        return once

    first, second = quantiles([run("A"), run("B")], 0.02, 0.5)
    assert first < 0.008 and second < 0.008
    assert 2 * (3 + 10 * (1 + 1)) <= len(log) <= 2 * (3 + 10 * (1 + 2))
