"""The multipliers of devices: what a design may share where nobody says more."""

from ...ir.errors import UsageError
from .style import Backend

DSP_BLOCKS = {
    "10ax115": 1518,
    "arria10": 1518,
    "xc7a100t": 240,
    "xc7a200t": 740,
    "xc7a35t": 90,
    "xc7k325t": 840,
    "xc7vx690t": 3600,
    "xc7z010": 80,
    "xc7z020": 220,
    "xc7z045": 900,
    "xcku115": 5520,
    "xcu200": 6840,
    "xcu250": 12288,
    "xcu280": 9024,
    "xcu50": 5952,
    "xcu55c": 9024,
    "xcvu13p": 12288,
    "xcvu37p": 9024,
    "xcvu9p": 6840,
    "xczu28dr": 4272,
    "xczu3eg": 360,
    "xczu48dr": 4272,
    "xczu5ev": 1248,
    "xczu7ev": 1728,
    "xczu9eg": 2520,
}
"""DSP blocks by the beginning of a part's name, as its vendor's product table has them."""

_XC7Z020 = "xc7z020clg400-1"
_USUAL = {"Quartus": "Arria10"}


def usual_part(backend: Backend) -> str:
    """Return the part that a project is for where none is named."""
    return _USUAL.get(backend, _XC7Z020)


def dsp_blocks(part: str) -> int:
    """Return how many a part has. Raises UsageError for one that is not in the table."""
    found = [name for name in DSP_BLOCKS if part.lower().startswith(name)]
    if not found:
        hint = "give --multipliers, or --reuse"
        raise UsageError(f"how many multipliers '{part}' has is not known here", hint=hint)
    return DSP_BLOCKS[max(found, key=len)]
