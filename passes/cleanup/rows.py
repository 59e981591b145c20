"""Which rows are equal, or equal up to a positive factor: arrays only."""

from collections.abc import Iterator

import numpy as np

from ...ir.graph import Array

TOLERANCE = 1e-6
_SKETCHES = 3
_CHUNK_BYTES = 2**26


def cluster(keys: Array, values: Array) -> Array:
    """Return one id a row, equal where the keys are equal and the values agree to 1e-6 of their size.

    Parameters
    ----------
    keys : int array (rows, k).
    values : float array (rows, m), compared with the first row of the same id.

    Returns
    -------
    ids : int array (rows,), from 0. Time: O(m · rows · log rows).
    """
    ids = _ranked(keys)
    for column in values.T:
        ids = refine(ids, column, TOLERANCE * np.abs(column))
    return _checked(ids, values)


def _ranked(keys: Array) -> Array:
    if keys.shape[1] == 1:
        return np.unique(keys[:, 0], return_inverse=True)[1].ravel()
    return np.unique(keys, axis=0, return_inverse=True)[1].ravel()


def _checked(ids: Array, values: Array) -> Array:
    """Give rows that drifted too far from the first of their id an id of their own."""
    first = leaders(ids)[ids]
    far = ~(np.abs(values - values[first]) <= TOLERANCE * np.abs(values[first])).all(1)
    return np.where(far & (first != np.arange(len(ids))), len(ids) + np.arange(len(ids)), ids)


def leaders(ids: Array) -> Array:
    """Return, for ids counted from 0, the place of the first row of each."""
    first = np.full(int(ids.max()) + 1 if ids.size else 0, len(ids))
    np.minimum.at(first, ids, np.arange(len(ids)))
    return first


def refine(ids: Array, values: Array, gap: Array) -> Array:
    """Split every id where sorted values lie further apart than ``gap``; all arrays (rows,). NaN stands alone."""
    if not ids.size or (values == values[0]).all():
        return ids
    order = np.lexsort((values, ids))
    near = np.abs(np.diff(values[order])) <= gap[order][1:]
    same = (np.diff(ids[order]) == 0) & near
    result = np.empty_like(ids)
    result[order] = np.concatenate([[0], np.cumsum(~same)])
    return result


def summed(part: Array, place: Array, factors: Array, count: int) -> Array:
    """Add up the columns of equal place: ``out[r, u, t] = Σ_{c: place[c] = u} factors[c] part[r, c, t]``.

    Parameters
    ----------
    part : (rows, columns, taps). place : int (columns,), below ``count``. factors : (columns,).

    Returns
    -------
    (rows, count, taps), float64. A place that no column has gives zeros.
    """
    plain = bool((factors == 1).all())
    if count == len(place) and (place == np.arange(count)).all():
        return part.astype(np.float64) if plain else part * factors[:, None].astype(np.float64)
    order = np.argsort(place, kind="stable")
    present, starts = np.unique(place[order], return_index=True)
    gathered = part[:, order] if plain else part[:, order] * factors[order, None].astype(np.float64)
    out = np.zeros((part.shape[0], count, part.shape[2]))
    out[:, present] = np.add.reduceat(gathered, starts, axis=1, dtype=np.float64)
    return out


def group_rows(matrix: Array, numbers: Array, factors: Array, bias: Array) -> tuple[Array, Array]:
    """Number the rows of a linear map whose inputs are ``factors[c] · base[numbers[c]]``.

    Parameters
    ----------
    matrix : (groups, rows, columns, taps) weights, each group reading its own columns.
    numbers, factors : (groups · columns,) value number and positive factor of every input channel.
    bias : (groups · rows,).

    Returns
    -------
    ids : int (groups · rows,). Rows with one id have proportional outputs: ``Σ W x + b`` agree, after
        division by their factors, in every summed tap and in the bias to 1e-6.
    scale : (groups · rows,) the positive factors.

    Notes
    -----
    Columns of inputs with the same number are added first, so what is equal only because its inputs are equal is
    found too. Rows are hashed by a few projections of their normalised taps, sorted, and then compared in full.
    Groups that read different numbers are not compared. Memory: chunks of 64 MiB.
    """
    groups, rows = matrix.shape[:2]
    scale = np.ones(groups * rows)
    sketch = np.zeros((groups * rows, _SKETCHES))
    keys = np.zeros(groups * rows, np.int64)
    for span, key, units, norms in _unit_rows(matrix, numbers, factors):
        keys[span], scale[span] = key, norms
        sketch[span] = units @ _projection(units.shape[1])
    scale = np.where(scale > 0, scale, np.where(bias == 0, 1.0, np.abs(bias)))
    units_bias = bias / scale
    ids = refine(_ranked(keys[:, None]), units_bias, TOLERANCE * np.abs(units_bias))
    for column in sketch.T:
        ids = refine(ids, column, np.full(len(ids), TOLERANCE))
    return _compared(_checked(ids, units_bias[:, None]), matrix, numbers, factors), scale


def _projection(width: int) -> Array:
    angles = np.outer(np.arange(1, width + 1), np.sqrt([2.0, 3.0, 5.0]))
    return np.asarray(np.cos(angles) * np.sqrt(2.0 / width))


def _unit_rows(
    matrix: Array, numbers: Array, factors: Array, wanted: Array | None = None
) -> Iterator[tuple[Array, int, Array, Array]]:
    """Yield, chunk by chunk: the rows' places, the key of their inputs, normalised summed rows, norms (0 for zeros)."""
    groups, rows, columns, taps = matrix.shape
    table: dict[bytes, int] = {}
    step = max(1, _CHUNK_BYTES // (8 * columns * taps))
    for group in range(groups):
        own = slice(group * columns, (group + 1) * columns)
        distinct, place = np.unique(numbers[own], return_inverse=True)
        key = table.setdefault(distinct.tobytes(), len(table))
        places = np.arange(rows) if wanted is None else np.flatnonzero(wanted[group * rows : (group + 1) * rows])
        for start in range(0, len(places), step):
            chosen = places[start : start + step]
            sums = summed(matrix[group, chosen], place.ravel(), factors[own], len(distinct)).reshape(len(chosen), -1)
            norms = np.sqrt((sums * sums).sum(1))
            yield group * rows + chosen, key, sums / np.where(norms > 0, norms, 1.0)[:, None], norms


def _compared(ids: Array, matrix: Array, numbers: Array, factors: Array) -> Array:
    """Compare every row with the first of its id in full; what differs gets an id of its own."""
    ids = np.unique(ids, return_inverse=True)[1].ravel()
    several = np.bincount(ids)[ids] > 1
    first: dict[int, Array] = {}
    result = ids.copy()
    for places, _, units, _ in _unit_rows(matrix, numbers, factors, several):
        for place, unit in zip(places.tolist(), units, strict=True):
            model = first.setdefault(int(ids[place]), unit)
            limit = TOLERANCE * np.abs(model) + 1e-3 * TOLERANCE
            if model is not unit and not (np.abs(unit - model) <= limit).all():
                result[place] = len(ids) + place
    return result
