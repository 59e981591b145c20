"""Fixed-point types, as ``ap_fixed`` and ``ap_ufixed`` define them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_MANTISSA = 53


@dataclass(frozen=True)
class Fixed:
    """``width`` bits, of which ``integer`` stand before the point, the sign among them; it may be below 0 or above
    ``width``.

    ``rounds``: to the nearest, halves upwards (AP_RND) or, where ``even``, to the even neighbour (AP_RND_CONV), else
    down (AP_TRN). ``saturates``: at the ends of the range (AP_SAT), else wraps around (AP_WRAP); ``symmetric``: and the
    least value of a signed type is not taken (AP_SAT_SYM).
    """

    width: int
    integer: int
    signed: bool = True
    rounds: bool = False
    saturates: bool = False
    even: bool = False
    symmetric: bool = False

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
        if not self.signed:
            return 0.0
        return -(2.0 ** (self.integer - 1)) + (self.step if self.symmetric else 0.0)

    @property
    def high(self) -> float:
        """The largest value."""
        return 2.0 ** (self.integer - self.signed) - self.step

    def cast(self, values: Floats) -> Floats:
        """Bring values onto the grid, as assigning them in C would; exact while they have at most 52 bits."""
        exact = values / self.step
        steps = np.rint(exact) if self.even else np.floor(exact + (0.5 if self.rounds else 0.0))
        first, count = self.low / self.step, 2.0**self.width
        if self.saturates:
            return np.asarray(np.clip(steps, first, self.high / self.step) * self.step)
        return np.asarray((steps - first - np.floor((steps - first) / count) * count + first) * self.step)

    def __str__(self) -> str:
        """Write the type as hls4ml reads it."""
        rounding = "RND_CONV" if self.even else "RND" if self.rounds else "TRN"
        saturation = "SAT_SYM" if self.symmetric else "SAT" if self.saturates else "WRAP"
        modes = [] if (rounding, saturation) == ("TRN", "WRAP") else [rounding, saturation]
        if saturation == "WRAP":
            modes = modes[:1]
        return f"{'' if self.signed else 'u'}fixed<{','.join([str(self.width), str(self.integer), *modes])}>"


def holding(values: Floats) -> Fixed:
    """Return the narrowest signed type, of two bits or more, that holds values exactly."""
    used = values[values != 0]
    if not used.size:
        return Fixed(2, 2)
    mantissa, exponent = np.frexp(used)
    steps = np.asarray(np.ldexp(mantissa, _MANTISSA), np.int64)
    fraction = int((_MANTISSA - exponent - np.log2(steps & -steps)).max())
    ends = int(np.ldexp(used.min(), fraction)), int(np.ldexp(used.max(), fraction))
    width = max(2, *(1 + (end if end >= 0 else -end - 1).bit_length() for end in ends))
    return Fixed(width, width - fraction)


def reaching(reach: float, fraction: int) -> Fixed:
    """Return the narrowest signed type of a fraction that holds everything from -reach to reach."""
    width = round(reach * 2.0**fraction).bit_length() + 1
    return Fixed(width, width - fraction)


def sum_type(one: Fixed, other: Fixed) -> Fixed:
    """Return the type that holds every sum of two values."""
    fraction = max(one.fraction, other.fraction)
    return reaching(max(-one.low, one.high) + max(-other.low, other.high), fraction)


def product_type(one: Fixed, other: Fixed) -> Fixed:
    """Return a type that holds every product of two values."""
    return Fixed(one.width + other.width, one.integer + other.integer, one.signed or other.signed)


def either_type(one: Fixed, other: Fixed) -> Fixed:
    """Return the type that holds the values of both."""
    signed, fraction = one.signed or other.signed, max(one.fraction, other.fraction)
    integer = max(grid.integer + (signed and not grid.signed) for grid in (one, other))
    return Fixed(integer + fraction, integer, signed)


def mean_type(values: Fixed, count: int) -> Fixed:
    """Return room for the sum of ``count`` values, and as many bits behind the point again for the quotient."""
    extra = (count - 1).bit_length()
    return Fixed(values.width + 2 * extra, values.integer + extra, values.signed)
