"""``obs``: backward elimination of the channel that the others make up for best."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from .activation import activation
from .conditional import scales
from .criterion import FROM_MOMENTS, ByReaders
from .obs_math import Consumer, eliminate


def obs(readers: Sequence[Reader], form: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
    """Block OBS: what is left after the other channels have made up for the removed one (methods.md#cost).

    The curve is the compensated loss of each kept set. Without covariances: :func:`activation`. See :mod:`.obs_math`.
    """
    found = scales(readers)
    if not found:
        return activation(readers, form, rng)
    consumers = [
        Consumer(np.asarray(reader.cov), reader.weight, reader.unit, scale, reader.ridge)
        for reader, scale in zip(readers, found, strict=True)
    ]
    cells = np.repeat(np.arange(form[0]), form[1])
    result = eliminate(consumers, form[0] * form[1], cells=cells)
    return np.asarray(result.order).reshape(-1, form[0]), np.asarray(result.curve)


OBS = ByReaders(
    "obs",
    'after Hassibi, Stork, "Second order derivatives for network pruning: optimal brain surgeon", NIPS 1992',
    FROM_MOMENTS,
    obs,
)
