"""A front as a picture, SVG written by hand: the share of the cost that is left against what is lost."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import floor, log10

from .front import Front, judged

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 20, 20, 60
_INK, _LINE, _KNEE = "#333333", "#1f6f9f", "#c23b22"
_TICKS = 5


def drawn(front: Front) -> str:
    """Draw all points with a known loss, bars at their intervals, the original, and the knee."""
    points, knee = [(1.0, 0.0)], front.knee
    marked, bars = None, list[tuple[float, tuple[float, float]]]()
    for place, point in enumerate(front.points):
        if point.report is None or point.share is None:
            continue
        _, loss, interval = judged(point.report.fidelity)
        if loss is None:
            continue
        points.append((point.share, loss))
        bars += [(point.share, interval)] if interval is not None else []
        marked = points[-1] if place == knee else marked
    axes = _Axes.of(points)
    body = [
        *axes.drawn(f"{front.quantity.name}, of the original's", f"lost: {front.judged_by or 'unknown'}"),
        *(_bar(axes, x, ends) for x, ends in bars),
        _path(axes, points),
        *(f'<circle cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" r="4" fill="{_LINE}"/>' for x, y in points),
        *(_knee(axes, *marked) if marked is not None else ()),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>', *body, "</svg>", ""])


class _Axes:
    """Maps shares from 0 to 1 and losses between two bounds to places in the picture."""

    def __init__(self, low: float, high: float, step: float) -> None:
        self._low, self._high, self._step = low, high, step

    @staticmethod
    def of(points: list[tuple[float, float]]) -> _Axes:
        low, high = (end(loss for _, loss in points) for end in (min, max))
        step = _round((high - low) / _TICKS or 0.01)
        return _Axes(floor(low / step) * step, (floor(high / step) + 1) * step, step)

    def x(self, share: float) -> float:
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, loss: float) -> float:
        inside = min(max((loss - self._low) / (self._high - self._low), 0.0), 1.0)
        return _HEIGHT - _BOTTOM - inside * (_HEIGHT - _TOP - _BOTTOM)

    def drawn(self, below: str, beside: str) -> Iterator[str]:
        """Yield both axes with ticks and what they are of."""
        left, right, low, top = self.x(0), self.x(1), self.y(self._low), self.y(self._high)
        yield f'<path d="M{left} {top}V{low}H{right}" fill="none" stroke="{_INK}"/>'
        for share in (place / _TICKS for place in range(_TICKS + 1)):
            yield _text(self.x(share), low + 18, f"{share:g}", "middle")
        for number in range(round((self._high - self._low) / self._step) + 1):
            loss = self._low + number * self._step
            yield f'<path d="M{left} {self.y(loss):.1f}H{right}" stroke="#dddddd"/>'
            yield _text(left - 8, self.y(loss) + 4, f"{loss:.4g}", "end")
        yield _text((left + right) / 2, low + 44, below, "middle")
        turned = f'transform="rotate(-90 18 {(low + top) / 2})"'
        yield _text(18, (low + top) / 2, beside, "middle", turned)


def _round(step: float) -> float:
    """Return the next larger of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** floor(log10(step))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= step * (1 - 1e-9))


def _path(axes: _Axes, points: list[tuple[float, float]]) -> str:
    places = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in sorted(points))
    return f'<polyline points="{places}" fill="none" stroke="{_LINE}" stroke-width="2"/>'


def _bar(axes: _Axes, x: float, ends: tuple[float, float]) -> str:
    low, high = map(axes.y, ends)
    return f'<path d="M{axes.x(x):.1f} {low:.1f}V{high:.1f}" stroke="{_LINE}" stroke-opacity="0.5"/>'


def _knee(axes: _Axes, x: float, y: float) -> Iterator[str]:
    yield f'<circle cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" r="8" fill="none" stroke="{_KNEE}" stroke-width="2"/>'
    yield _text(axes.x(x) + 12, axes.y(y) - 10, f"knee, {x:.2f}", "start")


def _text(x: float, y: float, said: str, anchor: str, more: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="13" fill="{_INK}"'
    return f"<text {' '.join(filter(None, (place, more)))}>{escape(said)}</text>"
