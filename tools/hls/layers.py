"""What a user asks of single layers: ``NAME:bits=8,4,reuse=16,strategy=resource``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from ...backends.hls.budget import FEWEST_BITS, MOST_BITS
from ...backends.hls.cost.settings import NO_WISH, Strategy, Wish, possible, weighted
from ...backends.hls.network import Layer, Network
from ...backends.hls.style import Style
from ...ir.errors import UsageError

Widths = tuple[int, int]
"""Bits of weights and of activations."""

SomeWidths = tuple[int | None, int | None]
"""The same, None where one is left open."""

_HINT = "write NAME:bits=8,4,reuse=16,strategy=resource, or some of these"
_SHOWN = 8


@dataclass(frozen=True)
class LayerWish:
    """What is asked of the layers called ``name``, or made of the ONNX node of that name; None leaves it open.

    ``optional``: it stands in a file, and layers that are not there, or have no weights to share multipliers for, are
    no mistake.
    """

    name: str
    bits: SomeWidths | None = None
    reuse: int | None = None
    strategy: Strategy | None = None
    optional: bool = False

    @property
    def setting(self) -> Wish:
        """Return what is asked of how a layer is built."""
        return Wish(self.reuse, self.strategy)

    def names(self, layer: Layer) -> bool:
        """Whether it is about a layer."""
        return self.name in (layer.name, layer.source)


def parsed(text: str) -> LayerWish:
    """Read one wish. Raises UsageError."""
    name, _, rest = text.rpartition(":")
    pairs = [piece.partition("=") for piece in re.split(r",(?=[a-z]+=)", rest)]
    given = {key: value for key, _, value in pairs}
    if not name or not given.keys() <= {"bits", "reuse", "strategy"} or len(given) < len(pairs):
        raise UsageError(f"layer '{text}' is no wish", hint=_HINT)
    return LayerWish(
        name,
        widths(given["bits"]) if "bits" in given else None,
        factor(given["reuse"]) if "reuse" in given else None,
        strategy(given.get("strategy")),
    )


def widths(given: str) -> Widths:
    """Read the bits of weights and of activations, ``8`` or ``8,10``. Raises UsageError."""
    found = re.fullmatch(r"\s*(\d+)\s*(?:,\s*(\d+)\s*)?", given)
    both = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not all(FEWEST_BITS <= bits <= MOST_BITS for bits in both):
        hint = f"{FEWEST_BITS} to {MOST_BITS}, as 8 or as 8,10 for weights and activations"
        raise UsageError(f"bits '{given}' are no widths", hint=hint)
    return both


def factor(given: str) -> int:
    """Read a reuse factor. Raises UsageError."""
    if not given.isdecimal() or int(given) < 1:
        raise UsageError(f"reuse '{given}' is no factor", hint="give 1 or more, or auto")
    return int(given)


def strategy(given: str | None) -> Strategy | None:
    """Check the name of a strategy. Raises UsageError."""
    found: Strategy | None = next((each for each in get_args(Strategy) if each == given), None)
    if given is not None and found is None:
        raise UsageError(f"there is no strategy '{given}'", hint=f"one of {', '.join(get_args(Strategy))}")
    return found


def check(network: Network, wishes: Sequence[LayerWish], style: Style) -> None:
    """Raise UsageError for a wish that no layer of a network can have."""
    for wish in wishes:
        named = [layer for layer in network.layers if wish.names(layer)]
        if not named and not wish.optional:
            some = [layer.name for layer in network.layers if layer.inputs]
            more = ", ..." if len(some) > _SHOWN else ""
            raise UsageError(f"there is no layer '{wish.name}'", hint=f"one of {', '.join(some[:_SHOWN])}{more}")
        if wish.setting != NO_WISH:
            _check_setting(wish, named, style)
        for bits in wish.bits or ():
            if named and bits is not None and not FEWEST_BITS <= bits <= MOST_BITS:
                hint = f"{FEWEST_BITS} to {MOST_BITS} are taken"
                raise UsageError(f"layer '{wish.name}' is to have a type of {bits} bits", hint=hint)
        if wish.bits is not None and not wish.optional and all(_typed(layer) for layer in named):
            hint = "leave the bits out, or give --recalibrate"
            raise UsageError(f"the model gives layer '{wish.name}' its types", hint=hint)


def _check_setting(wish: LayerWish, named: Sequence[Layer], style: Style) -> None:
    layers = [layer for layer in named if weighted(layer)]
    if not layers and not wish.optional:
        raise UsageError(f"layer '{wish.name}' has no weights to share multipliers for", hint="give it bits only")
    for layer in layers:
        if wish.strategy is not None and wish.strategy not in possible(layer, style):
            hint = f"it has {', '.join(possible(layer, style))}"
            raise UsageError(f"layer '{wish.name}' has no strategy {wish.strategy} on {style.backend}", hint=hint)


def _typed(layer: Layer) -> bool:
    return layer.grid is not None and (not weighted(layer) or layer.weight_grid is not None)


def unmatched(network: Network, wishes: Sequence[LayerWish]) -> list[str]:
    """List the names that no layer of a network has."""
    return [wish.name for wish in wishes if not any(map(wish.names, network.layers))]


def bits_by_layer(network: Network, wishes: Sequence[LayerWish]) -> dict[str, SomeWidths]:
    """Return the widths that are asked for, by layer name; of several wishes the last holds."""
    return {layer.name: wish.bits for wish in wishes if wish.bits for layer in network.layers if wish.names(layer)}


def settings_by_layer(network: Network, wishes: Sequence[LayerWish]) -> dict[str, Wish]:
    """Return what is asked of how layers are built, by layer name; later wishes hold over earlier ones."""
    found: dict[str, Wish] = {}
    for wish in wishes:
        for layer in network.layers:
            if weighted(layer) and wish.names(layer):
                found[layer.name] = wish.setting.over(found.get(layer.name, NO_WISH))
    return found
