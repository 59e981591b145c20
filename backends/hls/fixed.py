"""Fixed-point types, as ``ap_fixed`` and ``ap_ufixed`` define them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fixed:
    """``width`` bits, of which ``integer`` stand before the point, the sign among them; it may be below 0 or above
    ``width``.

    ``rounds``: to the nearest, halves upwards (AP_RND), else down (AP_TRN). ``saturates``: at the ends of the range
    (AP_SAT), else wraps around (AP_WRAP).
    """

    width: int
    integer: int
    signed: bool = True
    rounds: bool = False
    saturates: bool = False

    @property
    def fraction(self) -> int:
        """Bits behind the point; may be negative."""
        return self.width - self.integer

    @property
    def step(self) -> float:
        """The distance of neighbouring values."""
        return 2.0**-self.fraction

    @property
    def low(self) -> float:
        """The least value."""
        return -(2.0 ** (self.integer - 1)) if self.signed else 0.0

    @property
    def high(self) -> float:
        """The largest value."""
        return 2.0 ** (self.integer - self.signed) - self.step

    def cast(self, values: Floats) -> Floats:
        """Bring values onto the grid, as assigning them in C would; exact while they have at most 52 bits."""
        steps = np.floor(values / self.step + (0.5 if self.rounds else 0.0))
        first, count = self.low / self.step, 2.0**self.width
        if self.saturates:
            return np.asarray(np.clip(steps, first, first + count - 1) * self.step)
        return np.asarray((steps - first - np.floor((steps - first) / count) * count + first) * self.step)

    def __str__(self) -> str:
        """Write the type as hls4ml reads it."""
        modes = [name for name, on in (("RND", self.rounds), ("SAT", self.saturates)) if on]
        if self.saturates and not self.rounds:
            modes = ["TRN", "SAT"]
        return f"{'' if self.signed else 'u'}fixed<{','.join([str(self.width), str(self.integer), *modes])}>"
