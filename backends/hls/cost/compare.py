"""A network before and after compression, where a fair comparison needs one of two things held equal."""

from dataclasses import dataclass

from ..network import Network
from ..parts import dsp_blocks, usual_part
from ..precision import Precision
from ..style import STREAMED, Style
from .balance import least_multipliers
from .report import LayerCost, NetworkCost, cost
from .settings import NO_WISHES, Setting, Settings, Wishes
from .tradeoff import all_choices, balanced, cheapest


@dataclass(frozen=True)
class Row:
    """A layer before and after; None where one of the networks has no layer of that name."""

    name: str
    before: LayerCost | None
    after: LayerCost | None


@dataclass(frozen=True)
class Comparison:
    """``equal_interval``: what came after, balanced to the interval of ``before``: compare multipliers and bits.

    ``equal_multipliers``: the same, balanced within the multipliers of ``before``: compare interval and latency.
    """

    before: NetworkCost
    equal_interval: NetworkCost
    equal_multipliers: NetworkCost

    @property
    def multipliers_left(self) -> float:
        """Return the share of the multipliers that an equal interval takes."""
        return self.equal_interval.multipliers / max(self.before.multipliers, 1)

    @property
    def interval_left(self) -> float:
        """Return the share of the interval that equal multipliers take."""
        return self.equal_multipliers.interval / self.before.interval

    @property
    def latency_left(self) -> float:
        """Return the share of the latency that equal multipliers take."""
        return self.equal_multipliers.latency / self.before.latency


def operating_point(
    network: Network, wishes: Wishes = NO_WISHES, style: Style = STREAMED, part: str | None = None
) -> dict[str, Setting]:
    """Return the settings that a network is compared at when none are given, of those that ``wishes`` leave.

    Those of the shortest interval with the DSP blocks of ``part``, by default of an xc7z020, 220; or with as few
    multipliers as the network can be built with where that is more. A network that needs fewer for its least interval
    takes fewer. Raises UsageError for an unknown part.
    """
    least = least_multipliers([choice.frontier for choice in all_choices(network, wishes, style).values()])
    return balanced(network, max(dsp_blocks(part or usual_part(style.backend)), least), wishes, style)


def compare(
    before: Network,
    after: Network,
    point: Settings | None = None,
    precisions: tuple[Precision | None, Precision | None] = (None, None),
    style: Style = STREAMED,
) -> Comparison:
    """Compare two networks at the operating point of the first, such as ``balanced(before, budget)``.

    ``point`` defaults to :func:`operating_point`. Settings that are not balanced make the first network look worse
    than it need be. Raises :class:`~ir.errors.TargetNotMetError` where the second reaches no such point.
    """
    first = cost(before, operating_point(before, style=style) if point is None else point, precisions[0])
    return Comparison(
        before=first,
        equal_interval=cost(after, cheapest(after, first.interval, style), precisions[1]),
        equal_multipliers=cost(after, balanced(after, first.multipliers, style=style), precisions[1]),
    )


def table(before: NetworkCost, after: NetworkCost) -> tuple[Row, ...]:
    """Return the layers of both by name, in the order of the first; what only the second has comes last."""
    first = {layer.name: layer for layer in before.layers}
    second = {layer.name: layer for layer in after.layers}
    return tuple(Row(name, first.get(name), second.get(name)) for name in {**first, **second})
