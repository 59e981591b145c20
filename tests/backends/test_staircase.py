"""Staircases with known edges: what is measured, and what is read between."""

from collections.abc import Callable

import numpy as np
import pytest

from optimise_onnx.backends.latency.staircase import (
    between,
    coarse,
    first_widths,
    multiple,
    next_widths,
    rounded,
    surface,
)

Widths = tuple[int, ...]


def learnt(time: Callable[[Widths], float], high: Widths, grain: int, rounds: int = 3) -> dict[Widths, float]:
    """Measure as the predictor does."""
    samples: dict[Widths, float] = {}
    wanted = first_widths(high, (grain,) * len(high))
    for _ in range(rounds):
        samples |= {widths: time(widths) for widths in wanted}
        wanted = next_widths(samples, high, (grain,) * len(high), 0.03)
    return samples


def blocks(widths: Widths) -> float:
    """Work on blocks of 16 channels: fixed parts for the run, for each input block and for each output block."""
    a, b = (rounded(width, 16) for width in widths)
    return 20 + 0.3 * a + 0.5 * b + 0.01 * a * b


def sets_of_four(widths: Widths) -> float:
    """Four blocks of 16 output channels are worked on at once; a set that is not full costs 40 % more a block."""
    a, b = widths[0] // 16, widths[1] // 16
    return (5 + a) * (b + 0.4 * (b % 4))


def test_coarse_widths_are_multiples_from_the_grain_to_the_largest() -> None:
    assert coarse(512, 16) == [16, 32, 64, 128, 256, 512]
    assert coarse(144, 16) == [16, 32, 48, 80, 144]
    assert coarse(64, 1) == [1, 4, 16, 32, 64]
    assert coarse(16, 16) == [16]


def test_a_width_costs_what_its_block_does() -> None:
    line = {16: 1.0, 32: 2.0, 64: 4.0}
    assert between(line, 17, 16) == between(line, 32, 16) == 2.0
    assert between(line, 33, 16) == between(line, 48, 16) == 3.0
    assert between(line, 128, 16) == 8.0
    assert between(line, 1, 16) == 1.0


def test_bilinear_work_is_read_off_exactly() -> None:
    samples = learnt(blocks, (256, 512), 16)
    for widths in ((16, 16), (48, 96), (50, 97), (240, 496), (255, 511)):
        assert surface(samples, (256, 512), widths, (16, 16)) == pytest.approx(blocks(widths), rel=1e-9)


def test_few_widths_are_measured() -> None:
    assert len(learnt(blocks, (512, 2048), 16)) < 80


def test_edges_within_the_coarse_grid_are_found() -> None:
    high = (128, 256)
    samples = learnt(sets_of_four, high, 16)
    rng = np.random.default_rng(0)
    for _ in range(50):
        widths = (int(rng.integers(1, 9)) * 16, int(rng.integers(1, 17)) * 16)
        assert surface(samples, high, widths, (16, 16)) == pytest.approx(sets_of_four(widths), rel=0.1)


def test_bisection_goes_to_the_edge() -> None:
    """Time doubles from 97 channels on: the edge lies between neighbouring widths in the end."""

    def jump(widths: Widths) -> float:
        return widths[0] * (2.0 if widths[0] > 96 else 1.0)

    samples = learnt(jump, (256,), 1, rounds=8)
    assert {(96,), (97,)} <= samples.keys()
    assert surface(samples, (256,), (96,), (1,)) == pytest.approx(96)
    assert surface(samples, (256,), (98,), (1,)) == pytest.approx(196, rel=0.03)


def test_a_straight_line_needs_no_more() -> None:
    samples = learnt(lambda widths: 3.0 * widths[0], (256,), 1)
    assert samples.keys() == first_widths((256,), (1,))


@pytest.mark.parametrize("tread", [1, 4, 8, 16, 32])
def test_the_tread_of_the_stairs_is_learnt(tread: int) -> None:
    assert multiple(lambda width: rounded(width, tread) + 3.0, 64) == tread


def test_unaligned_widths_that_cost_more_do_not_hide_the_tread() -> None:
    """Blocks of 16; any width that is no multiple of 4 goes a slower way."""
    assert multiple(lambda width: rounded(width, 16) * (1.0 if width % 4 == 0 else 1.4), 64) == 16


def test_without_stairs_the_top_is_returned() -> None:
    assert multiple(lambda width: 1.0, 32) == 32
