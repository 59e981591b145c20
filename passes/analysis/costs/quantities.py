"""All quantities that a target may limit, by name: ours and what other packages offer."""

from ....ir.quantity import COUNTS, LATENCY, Measured, Quantity
from ....ir.registry import Registry
from .activations import ACTIVATIONS
from .peak_memory import PEAK_MEMORY
from .sums import BYTES, MACS, PARAMS

_STREAMING = "optimise_onnx.backends.hls.device"

OURS: tuple[Quantity, ...] = (
    LATENCY,
    MACS,
    PARAMS,
    BYTES,
    ACTIVATIONS,
    PEAK_MEMORY,
    Measured("hls-latency", "cycles", COUNTS, maker=f"{_STREAMING}:Cycles.of"),
    Measured("hls-multipliers", "multipliers", COUNTS, maker=f"{_STREAMING}:Multipliers.of"),
)

_KNOWN = Registry("quantity", "optimise_onnx.quantities", {each.name: each for each in OURS}, kind=Quantity)


def quantities() -> Registry[Quantity]:
    """Return our quantities and those that installed packages offer under ``optimise_onnx.quantities``."""
    return _KNOWN
