"""The criteria by name: each ranks the units of one group from its readers."""

from collections.abc import Callable, Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.readers import Reader
from .additive import rounds_by_cost, unit_costs
from .obs_math import Consumer, eliminate

Criterion = Callable[[Sequence[Reader], tuple[int, int]], tuple[Array, Array]]


def magnitude(readers: Sequence[Reader], form: tuple[int, int]) -> tuple[Array, Array]:
    """L2 norm of the consumers' weights, each consumer's whole counted as 1."""
    return _additive(readers, form, use_data=False)


def activation(readers: Sequence[Reader], form: tuple[int, int]) -> tuple[Array, Array]:
    """Weight norm times the channel's mean square activation (Wanda)."""
    return _additive(readers, form, use_data=True)


def obs(readers: Sequence[Reader], form: tuple[int, int]) -> tuple[Array, Array]:
    """Block OBS: what is left after the other channels have made up for the removed one (METHODS F3)."""
    known = [r for r in readers if r.cov is not None and r.cov.ndim == 2]
    if len(known) < len(readers) or not known:
        return activation(readers, form)
    consumers = [Consumer(_shrunk(r), r.weight, r.unit, _scale(r)) for r in known]
    cells = np.repeat(np.arange(form[0]), form[1])
    result = eliminate(consumers, form[0] * form[1], cells=cells)
    return np.asarray(result.order).reshape(-1, form[0]), np.asarray(result.curve)


def _shrunk(reader: Reader) -> Array:
    """The covariance with the ridge that its samples call for."""
    assert reader.cov is not None
    level = float(np.diagonal(reader.cov).mean())
    return reader.cov + np.eye(len(reader.cov)) * (reader.ridge * level)


def _scale(reader: Reader) -> float:
    assert reader.cov is not None
    power = float(np.einsum("dm,de,em->", reader.weight, reader.cov, reader.weight, optimize=True))
    return 1.0 / power if power > 0 else 0.0


def _additive(readers: Sequence[Reader], form: tuple[int, int], *, use_data: bool) -> tuple[Array, Array]:
    energy = [_energy(r) if use_data else None for r in readers]
    costs = unit_costs([r.weight for r in readers], [r.unit for r in readers], energy, form[0] * form[1])
    return rounds_by_cost(costs, form[0])


def _energy(reader: Reader) -> Array | None:
    if reader.cov is None or reader.mean is None:
        return None
    variance: Array = np.diagonal(reader.cov) if reader.cov.ndim == 2 else reader.cov
    energy: Array = variance + reader.mean**2
    return energy


CRITERIA: dict[str, Criterion] = {"activation": activation, "magnitude": magnitude, "obs": obs}
NEEDS_DATA = frozenset({"activation", "obs"})
