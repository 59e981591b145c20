"""Time over channel counts: which widths to measure, and what lies between them.

Kernels work on whole blocks of channels, so time is a staircase: flat within a block, with jumps at its edges. All
widths here are multiples of an axis's *grain* (a stair's tread); between measured widths time is linear, and a width
between two multiples costs what the next one does.

Two widths: a coarse grid of both, on which time is bilinear (blocks in times blocks out, and fixed parts), times how
far finely measured lines along each axis, at the other's largest width, lie off that grid.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from itertools import product

_SMALL = 16
Widths = tuple[int, ...]
Samples = Mapping[Widths, float]


def rounded(width: float, grain: int) -> int:
    """Return the next multiple of ``grain``, at least one."""
    return max(grain, -int(-width // grain) * grain)


def coarse(high: int, grain: int) -> list[int]:
    """Halve from the largest width down to 16, then quarter down to ``grain``; ascending."""
    width, found = float(high), [high]
    while rounded(width, grain) > grain:
        width /= 2 if width > _SMALL else 4
        found.append(rounded(width, grain))
    return sorted(set(found))


def first_widths(high: Widths, grains: Widths) -> set[Widths]:
    """Return what to measure first: the coarse grid, and on each axis the edge behind every coarse width."""
    found = set(product(*(coarse(top, grain) for top, grain in zip(high, grains, strict=True))))
    for axis, (top, grain) in enumerate(zip(high, grains, strict=True)):
        behind = {min(width + grain, top) for width in coarse(top, grain) if width >= _SMALL}
        found |= {_put(high, axis, width) for width in behind}
    return found


def next_widths(samples: Samples, high: Widths, grains: Widths, tolerance: float) -> set[Widths]:
    """Bisect beside every sample that its neighbours on a line misjudge by more than ``tolerance``, a share of it."""
    found: set[Widths] = set()
    for axis, grain in enumerate(grains):
        line = _line(samples, high, axis)
        widths = sorted(line)
        for low, middle, top in zip(widths, widths[1:], widths[2:], strict=False):
            guess = between({low: line[low], top: line[top]}, middle, grain)
            if abs(guess - line[middle]) > tolerance * line[middle]:
                halves = (rounded((low + middle) / 2, grain), rounded((middle + top) / 2, grain))
                found |= {_put(high, axis, width) for width in halves if width not in line}
    return found


def between(line: Mapping[int, float], width: int, grain: int) -> float:
    """Return the time at a width from measured ones: linear between multiples, proportional above the largest."""
    widths, width = sorted(line), rounded(width, grain)
    if width >= widths[-1]:
        return line[widths[-1]] * width / widths[-1]
    if width <= widths[0]:
        return line[widths[0]]
    place = bisect_left(widths, width)
    low, high = widths[place - 1], widths[place]
    share = (width - low) / (high - low)
    return line[low] * (1 - share) + line[high] * share


def surface(samples: Samples, high: Widths, widths: Widths, grains: Widths) -> float:
    """Return the time at any widths from samples that hold all of :func:`first_widths`."""
    if widths in samples:
        return samples[widths]
    axes = [coarse(top, grain) for top, grain in zip(high, grains, strict=True)]
    found = _bilinear(samples, axes, widths, grains)
    for axis, (width, grain) in enumerate(zip(widths, grains, strict=True)):
        line = _line(samples, high, axis)
        known = {knot: line[knot] for knot in axes[axis]}
        found *= between(line, width, grain) / between(known, width, grain)
    return found


def multiple(time: Callable[[int], float], top: int) -> int:
    """Return the smallest power of two by which ``top`` channels must shrink before time falls: the stairs' tread.

    Time falls when it drops by at least half of the channels' share. ``top`` is returned when nothing does.
    """
    size, whole = 1, time(top)
    while size < top:
        if time(top - size) <= whole * (1 - size / (2 * top)):
            return size
        size *= 2
    return top


def _bilinear(samples: Samples, axes: Sequence[list[int]], widths: Widths, grains: Widths) -> float:
    if len(axes) == 1:
        return between({width: samples[(width,)] for width in axes[0]}, widths[0], grains[0])
    rows = {a: {b: samples[(a, b)] for b in axes[1]} for a in axes[0]}
    return between({a: between(row, widths[1], grains[1]) for a, row in rows.items()}, widths[0], grains[0])


def _line(samples: Samples, high: Widths, axis: int) -> dict[int, float]:
    """Return what was measured along one axis with the other at its largest."""
    return {widths[axis]: time for widths, time in samples.items() if _put(high, axis, widths[axis]) == widths}


def _put(high: Widths, axis: int, width: int) -> Widths:
    return (*high[:axis], width, *high[axis + 1 :])
