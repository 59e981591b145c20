"""How alike channels are, told from weights: closed forms against sampling."""

import numpy as np
import pytest

from optimise_onnx.passes.reconstruct.kernel import interpolation, linear_kernel, relu_kernel


@pytest.fixture
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    some = rng.standard_normal((6, 4))
    return np.concatenate([some, 2 * some[:1], -some[1:2], np.zeros((1, 4))])


def test_second_moments_under_white_inputs(rows: np.ndarray) -> None:
    made = np.random.default_rng(1).standard_normal((400_000, 4)) @ rows.T
    np.testing.assert_allclose(linear_kernel(rows), made.T @ made / len(made), atol=0.05)
    positive = np.maximum(made, 0)
    np.testing.assert_allclose(relu_kernel(rows), positive.T @ positive / len(made), atol=0.05)


def test_opposite_channels_never_rectify_together(rows: np.ndarray) -> None:
    kernel = relu_kernel(rows)
    assert kernel[1, 7] == pytest.approx(0, abs=1e-6)
    assert kernel[1, 1] == pytest.approx((rows[1] ** 2).sum() / 2)


def test_what_depends_is_interpolated_exactly(rows: np.ndarray) -> None:
    stays = np.arange(9) != 6
    share = interpolation(relu_kernel(rows[:7]), stays[:7], 1e-9)
    np.testing.assert_allclose(share, [[2, 0, 0, 0, 0, 0]], atol=1e-5)
    linear = interpolation(linear_kernel(rows[:6]), np.arange(6) < 4, 1e-9)
    np.testing.assert_allclose(linear @ rows[:4], rows[4:6], atol=1e-5)
