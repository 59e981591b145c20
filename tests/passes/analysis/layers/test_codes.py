"""Floats as codes: ranges of all widths, and scales on which least is lost."""

import ml_dtypes
import numpy as np
import pytest

from optimise_onnx.passes.analysis.layers.codes import centre, coded, fitted_scale, is_codes, limits, spanned

KINDS = {
    np.int8: (-128, 127, 0),
    np.uint8: (0, 255, 128),
    ml_dtypes.int4: (-8, 7, 0),
    ml_dtypes.uint4: (0, 15, 8),
    np.int32: (-(2**31), 2**31 - 1, 0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_ranges(kind: type) -> None:
    assert (*limits(kind), centre(kind)) == KINDS[kind]
    assert is_codes(kind) and not is_codes(np.float32) and not is_codes(ml_dtypes.bfloat16)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, ml_dtypes.int4, ml_dtypes.uint4])
def test_scales_lose_less_than_those_of_the_largest_entry(kind: type) -> None:
    values = np.random.default_rng(0).laplace(size=(5, 4, 3, 3))
    values[2] = 0
    scale = fitted_scale(values, (1, 2, 3), kind)
    assert scale.shape == (5, 1, 1, 1) and scale[2] == 1
    reach = limits(kind)[1] - centre(kind)
    widest = np.maximum(np.abs(values).max((1, 2, 3), keepdims=True), 1e-9) / reach

    def error(step: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        codes = coded(values, step, centre(kind), kind).astype(np.float64)
        return (((codes - centre(kind)) * step - values) ** 2).sum((1, 2, 3))

    assert (error(scale) <= error(widest)).all()
    if reach < 127:
        assert error(scale).sum() < 0.95 * error(widest).sum()


def test_signed_codes_stay_symmetric() -> None:
    assert coded(np.array([-9.0, 9.0]), np.array(0.01), 0, np.int8).tolist() == [-127, 127]
    assert coded(np.array([-9.0, 9.0]), np.array(0.01), -100, np.int8).tolist() == [-128, 127]


@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-1.0, 3.0), (0.5, 2.0), (-3.0, -1.0), (0.0, 0.0)])
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_a_span_holds_its_ends_and_zero(low: float, high: float, kind: type) -> None:
    scale, zero = spanned(low, high, kind)
    ends = coded(np.array([low, high]), np.array(scale), zero, kind).astype(float)
    np.testing.assert_allclose((ends - zero) * scale, [low, high], atol=0.51 * scale if high > low else 0)
    assert limits(kind)[0] <= zero <= limits(kind)[1]
