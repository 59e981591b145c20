"""What goes over a link, and the words that change its numbers' type."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..fixed import Fixed
from ..network import Shape

Setting = int | str
"""What a parameter of a module is set to."""


@dataclass(frozen=True)
class StreamFormat:
    """Images of ``shape`` (H, W, C), or (N,), whose numbers have a type; a word is a pixel, or the N numbers."""

    shape: Shape
    kind: Fixed

    @property
    def channels(self) -> int:
        """Numbers in a word."""
        return self.shape[-1]

    @property
    def words(self) -> int:
        """Words in an image."""
        return self.shape[0] * self.shape[1] if len(self.shape) > 1 else 1

    @property
    def bits(self) -> int:
        """Bits in a word."""
        return self.channels * self.kind.width


def cast(channels: int, at: Fixed, to: Fixed, source: str, target: str) -> str:
    """Write the instance that brings a word's numbers from one type to another, as assigning them in C would."""
    parameters = {
        "N": channels,
        "IW": at.width,
        "IS": int(at.signed),
        "DROP": at.fraction - to.fraction,
        "RND": int(to.rounds),
        "EVEN": int(to.even),
        "SAT": int(to.saturates),
        "SYM": int(to.symmetric),
        "OW": to.width,
        "OS": int(to.signed),
    }
    return instance("casts", f"cast_{target}", parameters, {"in": source, "out": target})


def instance(module: str, name: str, parameters: Mapping[str, Setting], ports: Mapping[str, str]) -> str:
    """Write one instance of a module."""
    settings = ", ".join(f".{key}({value})" for key, value in parameters.items())
    wires = ", ".join(f".{key}({value})" for key, value in ports.items())
    return f"{module} #({settings}) {name} ({wires});" if settings else f"{module} {name} ({wires});"
