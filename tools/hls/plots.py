"""Ranges of weights and activations against the types that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...backends.hls import reference
from ...backends.hls.cost.settings import weights
from ...backends.hls.fixed import Fixed
from ...backends.hls.network import Flatten, Floats, Network
from ...backends.hls.precision import Precision

_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_ROW, _WIDTH = 0.28, 9.0  # inches
_LETTERS = 40


def plots(network: Network, precision: Precision, samples: Floats, folder: Path) -> bool:
    """Draw ``weights.png`` and ``activations.png`` of a network in floating point; False without matplotlib."""
    try:
        from matplotlib.figure import Figure  # noqa: F401
    except ImportError:
        return False
    held = {layer.name: weights(layer) for layer in network.layers if weights(layer).size}
    grids = {name: grid for name in held if (grid := precision[name].weight) is not None}
    if grids:
        _draw("weights", {name: held[name] for name in grids}, grids, folder / "weights.png")
    values = reference.run(network, samples)
    shown = [layer.name for layer in network.layers if not isinstance(layer, Flatten)]
    results = {name: precision[name].result for name in shown}
    _draw("activations", {name: values[name] for name in shown}, results, folder / "activations.png")
    return True


def _draw(title: str, values: Mapping[str, Floats], grids: Mapping[str, Fixed], path: Path) -> None:
    """Draw a box of magnitudes for each layer, over a bar from the step of its type to its largest value."""
    from matplotlib.figure import Figure

    figure = Figure((_WIDTH, 1.2 + _ROW * len(values)), layout="constrained")
    axes = figure.add_subplot()
    names = list(values)
    steps, highs = np.array([(grids[name].step, max(grids[name].high, -grids[name].low)) for name in names]).T
    axes.barh(range(len(names)), highs - steps, left=steps, color="lightgrey", label="held by the type")
    axes.bxp([_box(values[name]) for name in names], range(len(names)), orientation="horizontal", showfliers=False)
    axes.set_xscale("log", base=2)
    axes.set_yticks(range(len(names)), [_short(name) for name in names], fontsize="small")
    axes.invert_yaxis()
    axes.set_xlabel("magnitude, zeros left out: least, quartiles, largest")
    axes.set_title(f"{title} in floating point")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _short(name: str) -> str:
    return name if len(name) <= _LETTERS else f"…{name[1 - _LETTERS :]}"


def _box(values: Floats) -> dict[str, float]:
    magnitudes = np.abs(values[values != 0])
    low, first, middle, third, high = np.quantile(magnitudes, _QUANTILES).tolist() if magnitudes.size else [1.0] * 5
    return {"whislo": low, "q1": first, "med": middle, "q3": third, "whishi": high}
