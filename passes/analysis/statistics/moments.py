"""First and second moments of a layer's input and output from a stream of calibration batches (arrays only).

All that the closed forms of selection and reconstruction need (docs/methods.md) is the mean and the covariance of the
im2col patches ``x`` a consumer reads, and their covariance with its wanted output ``y``. Memory is
``inputs * (inputs + outputs)`` doubles, whatever the number of samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas, cholesky

from ....ir.errors import NumericalError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Reals = npt.NDArray[np.floating]

RIDGE_LIMIT = 1.0
FIRST_RIDGE = 1e-12
_BLOCK = 128


class Moments:
    """Streaming mean and covariance of paired rows ``x`` (n, inputs) and ``y`` (n, outputs), in float64.

    Batches are merged pairwise: with ``d = mean(batch) - mean(so far)`` the scatter about the common mean is
    ``S + S_batch + (n m / (n + m)) d d^T``, so a large mean costs no digits. ``outputs`` may be 0. Accuracy: about
    ``eps * sqrt(batches)`` relative to the variances. With ``single`` the products with ``x`` are formed and those
    of ``x`` with itself added up in float32, in half the time, and ``eps`` is that of float32: far below what sampling
    leaves open.

    Reference: Chan, Golub, LeVeque, "Algorithms for computing the sample variance", The American Statistician 1983.
    """

    def __init__(self, inputs: int, outputs: int, *, single: bool = False) -> None:
        self._count: float = 0
        self._kind: type[np.floating] = np.float32 if single else np.float64
        self._mean_x, self._mean_y = np.zeros(inputs), np.zeros(outputs)
        self._scatter_xx = np.zeros((inputs, inputs), self._kind, order="F")
        self._scatter_xy = np.zeros((inputs, outputs))
        self._scatter_yy = np.zeros(outputs)

    def update(self, x: Reals, y: Reals, times: Reals | None = None) -> None:
        """Add a batch: ``x`` (n, inputs), ``y`` (n, outputs), float32 or float64; a batch of no rows adds nothing.

        ``times`` (n,), positive: how often each row counts, once by default.

        Raises ValueError on a wrong shape, NumericalError on NaN or Inf; after an error the moments are unchanged
        unless the values were finite and their squares were not.
        """
        rows = len(x)
        if x.shape != (rows, len(self._mean_x)) or y.shape != (rows, len(self._mean_y)):
            wanted = f"(n, {len(self._mean_x)}) and (n, {len(self._mean_y)})"
            raise ValueError(f"rows of shape {wanted} expected, got {x.shape} and {y.shape}")
        if not rows:
            return
        batch = _Batch(self._count, rows if times is None else float(times.sum()), times)
        rest_x, step_x = batch.centred(x, self._mean_x, "inputs of a layer", self._kind)
        rest_y, step_y = batch.centred(y, self._mean_y, "outputs of a layer", np.float64)
        multiply = blas.ssyrk if self._kind is np.float32 else blas.dsyrk
        self._scatter_xx = multiply(1.0, rest_x.T, beta=1.0, c=self._scatter_xx, overwrite_c=1)
        self._scatter_xy += rest_x.T @ rest_y.astype(self._kind)
        self._scatter_yy += np.einsum("no,no->o", rest_y, rest_y)
        self._count += batch.count
        self._mean_x = self._mean_x + step_x * (batch.count / self._count)
        self._mean_y = self._mean_y + step_y * (batch.count / self._count)
        if not np.isfinite(np.diagonal(self._scatter_xx)).all() or not np.isfinite(self._scatter_yy).all():
            raise NumericalError("activations are too large: their squares overflow", hint="scale the calibration data")

    @property
    def count(self) -> float:
        """Number of rows seen, each as often as it counts."""
        return self._count

    @property
    def mean_x(self) -> Floats:
        """E[x], (inputs,)."""
        return self._mean_x

    @property
    def mean_y(self) -> Floats:
        """E[y], (outputs,)."""
        return self._mean_y

    @property
    def cov_xx(self) -> Floats:
        """E[(x - E x)(x - E x)^T], (inputs, inputs), symmetric; a fresh array. NumericalError before any row."""
        full = self._scatter_xx.astype(np.float64)
        full /= self._divisor()
        for start in range(0, len(full), _BLOCK):  # block by block: a whole transpose would miss the processor's cache
            stop = start + _BLOCK
            corner = full[start:stop, start:stop]
            corner += np.triu(corner, 1).T
            full[stop:, start:stop] = full[start:stop, stop:].T
        return full.T  # the same, in C order

    @property
    def cov_xy(self) -> Floats:
        """E[(x - E x)(y - E y)^T], (inputs, outputs). NumericalError before any row."""
        return self._scatter_xy / self._divisor()

    @property
    def var_y(self) -> Floats:
        """Variance of each output, (outputs,): what a perfect fit would explain. NumericalError before any row."""
        return self._scatter_yy / self._divisor()

    def _divisor(self) -> float:
        if not self._count:
            raise NumericalError("no samples were seen", value=0, limit=1, hint="give calibration data")
        return self._count


@dataclass(frozen=True)
class _Batch:
    """Rows that count ``count`` times together, each as ``times`` (n,) says or once, after ``seen`` others."""

    seen: float
    count: float
    times: Reals | None

    def centred(self, rows: Reals, mean: Floats, what: str, kind: type[np.floating]) -> tuple[Reals, Floats]:
        """Return rows about their own mean, plus one row that carries the shift to the old ``mean``, and that shift."""
        own = self._mean(rows)
        if not np.isfinite(own).all():
            hint = "run the model on the calibration data and look for overflow"
            raise NumericalError(f"NaN or Inf in the {what}", value=float(own[~np.isfinite(own)][0]), hint=hint)
        values = np.empty((len(rows) + 1, rows.shape[1]), kind)
        np.subtract(rows, own.astype(kind), out=values[:-1])
        if self.times is not None:
            values[:-1] *= np.sqrt(self.times).astype(kind)[:, None]
        values[-1] = (own - mean) * np.sqrt(self.seen * self.count / (self.seen + self.count))
        return values, own - mean

    def _mean(self, rows: Reals) -> Floats:
        if self.times is None:
            return np.asarray(rows.mean(axis=0, dtype=np.float64))
        return np.asarray(np.einsum("n,nd->d", self.times, rows, dtype=np.float64) / self.count)


def factor(covariance: Floats, ridge: float) -> tuple[Floats, float]:
    """Cholesky factor of a covariance with a ridge: ``L L^T = S + lam I``, ``lam = ridge * mean(diag S)``.

    ``covariance`` (d, d) symmetric, ``ridge`` relative and >= 0. When the matrix is not positive definite in working
    precision (a pivot below ``d * eps * max(diag)``), ``ridge`` is raised tenfold until it is. Returns the lower
    factor (d, d, Fortran order) and ``lam``. An all-zero covariance counts as having mean diagonal 1.

    Raises NumericalError on NaN or Inf, or when a ridge above ``RIDGE_LIMIT`` and above that asked for would be needed.
    Cost d^3 / 3.
    """
    diagonal = np.diagonal(covariance)
    if not np.isfinite(covariance).all():
        raise NumericalError("NaN or Inf in a covariance", hint="check the calibration data")
    unit = float(diagonal.mean()) or 1.0
    symmetric = covariance.T if covariance.flags.c_contiguous else covariance  # copied in order, that is fast
    limit = max(ridge, RIDGE_LIMIT)
    while ridge <= limit:
        shifted = np.array(symmetric, order="F")
        np.fill_diagonal(shifted, diagonal + ridge * unit)
        lower = _cholesky(shifted)
        if lower is not None:
            return lower, ridge * unit
        ridge = max(10 * ridge, FIRST_RIDGE)
    hint = "more calibration samples, or a larger ridge"
    raise NumericalError("a covariance is too badly conditioned", value=ridge, limit=limit, hint=hint)


def _cholesky(matrix: Floats) -> Floats | None:
    """Lower factor in place of the matrix, or None when that is singular in working precision."""
    floor = len(matrix) * np.finfo(np.float64).eps * np.diagonal(matrix).max()
    try:
        lower = np.asarray(cholesky(matrix, lower=True, overwrite_a=True, check_finite=False))
    except np.linalg.LinAlgError:
        return None
    return lower if (np.diagonal(lower) ** 2 >= floor).all() else None


def conv_patches(
    x: Reals,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads_begin: Sequence[int],
    pads_end: Sequence[int],
    dilations: Sequence[int],
    positions: Ints | None = None,
) -> Reals:
    """Lay out what a convolution reads, one row an output position (im2col), so that ``y = patches @ W.T``.

    ``x`` (n, c, *spatial) with 1, 2 or 3 spatial axes, zero padded; the other arguments have one number a spatial
    axis. Columns are channel-major, tap-minor: ``W = weight.reshape(cout, -1)`` fits. ``positions`` are flat
    C-order output positions, (p,) the same for every image or (n, p); None takes all. Returns (n * p, c * taps) in
    the dtype of ``x``, image-major. For a grouped convolution pass one group's channels.

    Raises ValueError when the kernel does not fit in the padded input, or on a position outside the output.
    """
    dims = len(kernel)
    spatial = tuple(range(1, 1 + dims))
    x = np.moveaxis(x, 1, -1)
    if any(pads_begin) or any(pads_end):
        x = np.pad(x, [(0, 0), *zip(pads_begin, pads_end, strict=True), (0, 0)])
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    if any(extent < span for extent, span in zip(x.shape[1:-1], reach, strict=True)):
        raise ValueError(f"a kernel reaching {reach} does not fit in the padded input {x.shape[1:-1]}")
    if positions is not None:
        x = np.ascontiguousarray(x)  # taps are then gathered as long runs of channels
    windows = np.lib.stride_tricks.sliding_window_view(x, reach, axis=spatial)
    skips = [slice(None, None, step) for step in (*strides, *dilations)]
    windows = windows[(slice(None), *skips[:dims], slice(None), *skips[dims:])]
    windows = np.moveaxis(windows, 1 + dims, -1)
    if positions is not None:
        images = np.arange(len(x))[:, None]
        where = np.unravel_index(np.atleast_2d(positions), windows.shape[1 : 1 + dims])
        windows = windows[(images, *where)]
    columns = x.shape[-1] * int(np.prod(kernel))
    return np.moveaxis(windows, -1, -1 - dims).reshape(-1, columns)


def sample_positions(rng: np.random.Generator, images: int, positions_total: int, per_image: int) -> Ints | None:
    """Draw ``per_image`` different flat output positions for every image, uniformly, sorted: (images, per_image).

    Returns None, meaning all, when ``per_image >= positions_total``. Neighbouring positions are nearly copies of each
    other, so few of many images tell more than many of few (ten an image in He, Zhang, Sun, ICCV 2017). Raises
    ValueError when ``per_image < 1``.
    """
    if per_image < 1:
        raise ValueError(f"at least one position an image is needed, got {per_image}")
    if per_image >= positions_total:
        return None
    keys = rng.random((images, positions_total))
    return np.sort(np.argpartition(keys, per_image, axis=1)[:, :per_image].astype(np.int64), axis=1)
