"""hls4ml's own configuration file as options: what for, and each layer's widths, reuse factor and strategy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ...backends.hls.budget import FEWEST_BITS, MOST_BITS
from ...backends.hls.calibrate import LINEAR_EXTRA_BITS
from ...ir.errors import UsageError
from .layers import LayerWish, factor, strategy

_PLACES = {"Backend": "backend", "IOType": "io_type", "Part": "part", "ClockPeriod": "clock"}
_WIDTH = re.compile(r"(?:ap_|ac_)?u?(?:fixed|int)<\s*(\d+)")


def options(path: str | Path) -> dict[str, Any]:
    """Return the options that a file written by hls4ml names, ``layers`` among them as wishes.

    Of its types the widths are taken. Raises UsageError.
    """
    whole = _read(Path(path))
    found = {option: whole[key] for key, option in _PLACES.items() if whole.get(key) is not None}
    if not isinstance(found.get("clock", 1.0), int | float):
        raise UsageError(f"'{path}' has a ClockPeriod of {found['clock']!r}", hint="it is a number of nanoseconds")
    told = _mapping(whole.get("HLSConfig", {}), path)
    if told.get("LayerType"):
        raise UsageError(f"'{path}' has settings by type of layer", hint="name layers, under LayerName")
    model = _wish("Model", _mapping(told.get("Model", {}), path))
    if model.bits is not None:
        found["bits"] = ",".join(map(str, model.bits))
    found |= {key: value for key in ("reuse", "strategy") if (value := getattr(model, key)) is not None}
    layers = _mapping(told.get("LayerName", {}), path)
    wishes = [_wish(str(name), _mapping(given, path)) for name, given in layers.items()]
    found["layers"] = [wish for wish in wishes if (wish.bits, wish.reuse, wish.strategy) != (None, None, None)]
    return found


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return _mapping(yaml.safe_load(path.read_text(encoding="utf-8")), path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = str(error).splitlines()[0]
        raise UsageError(f"cannot read '{path}' as a configuration of hls4ml", hint=why) from error


def _mapping(value: Any, path: str | Path) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"'{path}' is no configuration of hls4ml", hint="it holds Backend, HLSConfig and the like")
    return value


def _wish(name: str, given: Mapping[str, Any]) -> LayerWish:
    types = given.get("Precision", {})
    named = types if isinstance(types, Mapping) else {"default": types}
    whole, weights = _width(named, "default"), _width(named, "weight", "scale", "param")
    results = _width(named, "result")
    if results is not None and "accum" in named and "weight" in named:
        results = min(max(results - LINEAR_EXTRA_BITS, FEWEST_BITS), MOST_BITS)  # what sums have more than activations
    bits = (weights or whole, results or whole)
    return LayerWish(
        name,
        None if bits == (None, None) else bits,
        factor(str(given["ReuseFactor"])) if "ReuseFactor" in given else None,
        strategy(str(given["Strategy"]).lower()) if "Strategy" in given else None,
        optional=True,
    )


def _width(types: Mapping[str, Any], *keys: str) -> int | None:
    """Return the bits of the first type that is there and not left open, such as by "auto"."""
    found = (_WIDTH.match(str(types.get(key, ""))) for key in keys)
    return next((int(one[1]) for one in found if one), None)
