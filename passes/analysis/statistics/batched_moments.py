"""First and second moments of many small problems at once, as the channels of a depthwise convolution (arrays only)."""

import numpy as np
import numpy.typing as npt

from ....ir.errors import NumericalError

Floats = npt.NDArray[np.float64]
Reals = npt.NDArray[np.floating]


class BatchedMoments:
    """Streaming mean and covariance of g paired problems ``x`` (g, n, d) and ``y`` (g, n, m), in float64.

    Sums are taken about the mean of the first batch, so a large mean costs few digits. ``outputs`` may be 0.
    """

    def __init__(self, groups: int, inputs: int, outputs: int) -> None:
        self._inputs = inputs
        self.count = 0
        self._shift: Floats = np.zeros((groups, 1, inputs + outputs))
        self._first: Floats = np.zeros((groups, inputs + outputs))
        self._second: Floats = np.zeros((groups, inputs, inputs + outputs))

    def update(self, x: Reals, y: Reals) -> None:
        """Add a batch of rows; a batch of no rows adds nothing. Raises NumericalError on NaN or Inf."""
        if not x.shape[1]:
            return
        both = np.concatenate([x, y], 2).astype(np.float64)
        if not self.count:
            self._shift = both.mean(1, keepdims=True)
        both -= self._shift
        self.count += both.shape[1]
        self._first += both.sum(1)
        self._second += both[:, :, : self._inputs].transpose(0, 2, 1) @ both
        if not np.isfinite(self._first).all():
            raise NumericalError(
                "NaN or Inf in the activations of a layer", hint="run the model on the calibration data"
            )

    def result(self) -> tuple[Floats, Floats]:
        """Return ``E[(x, y)]`` (g, d + m) and ``Cov(x, (x, y))`` (g, d, d + m). NumericalError before any row."""
        if not self.count:
            raise NumericalError("no samples were seen", value=0, limit=1, hint="give calibration data")
        mean = self._first / self.count
        cov = self._second / self.count - mean[:, : self._inputs, None] * mean[:, None, :]
        return mean + self._shift[:, 0], cov
