"""Types from ranges: the least integer bits, weights on their grids, sums that never leave their accumulator."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimise_onnx.backends.hls import budget as budgets
from optimise_onnx.backends.hls.budget import relative_error, within
from optimise_onnx.backends.hls.calibrate import calibrated, fitted, ranges
from optimise_onnx.backends.hls.emulator import Emulator
from optimise_onnx.backends.hls.fixed import Fixed
from optimise_onnx.backends.hls.network import Convolution, Dense
from optimise_onnx.backends.hls.reference import compute, run
from optimise_onnx.ir.errors import LoweringError, TargetNotMetError

from .networks import MADE, Maker, plain, residual, samples, separable

magnitudes = st.floats(1e-6, 1e6)


@pytest.mark.parametrize(
    ("low", "high", "signed", "integer"),
    [(0.0, 255.0, False, 8), (0.0, 1.0, False, 0), (-1.0, 1.0, True, 1), (-0.05, 0.05, True, -3), (0.0, 0.0, False, 0)],
)
def test_integer_bits_follow_the_range(low: float, high: float, signed: bool, integer: int) -> None:
    assert fitted((low, high), 8, signed).integer == integer


@given(magnitudes, magnitudes, st.integers(3, 16))
def test_nothing_seen_leaves_by_more_than_a_step_and_a_bit_less_would_not_do(
    below: float, above: float, width: int
) -> None:
    grid = fitted((-below, above), width, signed=True)
    less = Fixed(width, grid.integer - 1)
    assert -below >= grid.low - grid.step and above <= grid.high + grid.step
    assert -below < less.low - less.step or above > less.high + less.step


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_weights_lie_on_their_grids(make, bits: int) -> None:
    network, precision = calibrated(make(), samples(make(), 16), bits, bits)
    for layer in network.layers:
        types = precision[layer.name]
        if isinstance(layer, Convolution | Dense):
            weight = layer.kernel if isinstance(layer, Convolution) else layer.weight
            assert types.weight is not None and types.weight.width == bits
            assert types.bias is not None and types.bias.width <= 24
            np.testing.assert_array_equal(types.weight.cast(weight), weight)
            np.testing.assert_array_equal(types.bias.cast(layer.bias), layer.bias)


@pytest.mark.parametrize("make", [plain, residual, separable])
def test_no_input_makes_an_accumulator_overflow(make) -> None:
    network, precision = calibrated(make(), samples(make(), 16), 6, 6)
    values = Emulator(network, precision).trace(samples(make(), 8, seed=1) * 1e3)
    for layer in network.layers:
        accumulator = precision[layer.name].accumulator
        if isinstance(layer, Convolution | Dense) and accumulator is not None:
            exact = compute(layer, [values[name] for name in layer.inputs])
            assert exact.min() >= accumulator.low and exact.max() <= accumulator.high
            np.testing.assert_array_equal(accumulator.cast(exact), exact)


def test_what_only_a_curve_reads_stays_wide_and_the_middle_of_a_pair_does_not() -> None:
    _, precision = calibrated(separable(), samples(separable(), 16), 8, 8)
    assert precision["c4"].result == precision["c4"].accumulator
    assert precision["c3"].result.width == 10
    assert str(precision["r2"].result).startswith("ufixed<8,")


def test_relu_has_a_sign_where_a_padded_maximum_reads_it() -> None:
    net = Maker((4, 4, 2))
    net.pool("p", net.curve("r", "x"), "max", 2, pads=(1, 1, 1, 1))
    _, precision = calibrated(net.network("p"), samples(net.network("p"), 4), 8, 8)
    assert precision["r"].result.signed


def test_each_layer_can_have_bits_of_its_own() -> None:
    names = [layer.name for layer in plain().layers]
    _, precision = calibrated(plain(), samples(plain(), 8), dict.fromkeys(names, 8) | {"d1": 5}, 9)
    assert precision["d1"].weight is not None and precision["d1"].weight.width == 5
    assert precision["c1"].weight is not None and precision["c1"].weight.width == 8
    assert precision["r1"].result.width == 9


@pytest.mark.parametrize("make", [plain, residual, separable])
def test_more_bits_come_closer(make) -> None:
    network, given_ = make(), samples(make(), 32)
    exact = run(network, given_)
    errors = []
    for bits in (6, 9, 12, 16):
        values = Emulator(*calibrated(network, given_, bits, bits)).run(given_)
        errors.append(relative_error([values[n] for n in network.outputs], [exact[n] for n in network.outputs]))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 2e-3


@pytest.mark.parametrize("budget", [0.1, 0.01])
def test_the_budget_is_kept_with_few_bits(budget: float) -> None:
    network, given_ = residual(), samples(residual(), 16)
    exact = run(network, given_)
    fewer, precision = within(network, given_, budget)
    values = Emulator(fewer, precision).run(given_)
    assert relative_error([values["d"]], [exact["d"]]) <= budget
    widest = max(types.weight.width for types in precision.values() if types.weight)
    bits = precision["r1"].result.width
    assert widest <= bits
    one_less = Emulator(*calibrated(network, given_, bits - 1, bits - 1)).run(given_)
    assert relative_error([one_less["d"]], [exact["d"]]) > budget


def test_errors_come_from_the_samples_searched_and_ranges_from_all() -> None:
    given = samples(MADE["plain"](), 32)
    said: list[str] = []
    _, precision = within(MADE["plain"](), np.concatenate([given[:8], 4 * given[8:]]), 0.05, 8, said.append)
    _, narrow = within(MADE["plain"](), given[:8], 0.05)
    assert precision["x"].result.integer == narrow["x"].result.integer + 2
    assert said[0] == "trying 2 bits" and "'d1'" in said[-4]


@pytest.mark.parametrize("budget", [0.1, 0.02])
def test_the_budget_holds_on_samples_that_did_not_choose(budget: float) -> None:
    network = residual()
    chosen = Emulator(*within(network, samples(network, 64), budget, 4))
    alone = Emulator(*within(network, samples(network, 64)[:4], budget))
    fresh = samples(network, 256, seed=9)
    exact = run(network, fresh)["d"]
    reached, before = (relative_error([found.run(fresh)["d"]], [exact]) for found in (chosen, alone))
    assert reached <= budget < before


def test_a_budget_that_only_the_choosing_samples_reach_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "_judged", lambda *_: 1.0)
    with pytest.raises(TargetNotMetError, match="not on others: there it may be 1"):
        within(residual(), samples(residual(), 16), 0.3, 8)


def test_a_budget_out_of_reach_is_refused() -> None:
    with pytest.raises(TargetNotMetError):
        within(MADE["curved"](), samples(MADE["curved"](), 8), 1e-6)


def test_ranges_hold_all_samples() -> None:
    given_ = samples(plain(), 16)
    values = run(plain(), given_)
    assert ranges(plain(), given_) == {name: (value.min(), value.max()) for name, value in values.items()}


def test_sums_over_52_bits_are_refused() -> None:
    with pytest.raises(LoweringError, match="52"):
        Emulator(*calibrated(plain(), samples(plain(), 4), 30, 30))


def test_saturations_are_counted() -> None:
    network, precision = calibrated(plain(), samples(plain(), 8), 8, 8)
    emulator = Emulator(network, precision)
    assert set(emulator.saturations(samples(plain(), 8) * 0.0).values()) == {0}
    assert emulator.saturations(samples(plain(), 8) * 10)["x"] > 0
