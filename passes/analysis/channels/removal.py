"""``remove``: take channels out of a graph, given which classes of each group stay."""

from collections.abc import Mapping

import numpy as np

from ....ir.errors import PreconditionError
from ....ir.graph import Array, Graph
from .groups import Channels
from .rules.table import REWRITES
from .surgery import operate


def remove(graph: Graph, channels: Channels, kept: Mapping[str, Array]) -> None:
    """Rewrite every constant, attribute and baked shape so that only the kept classes are left.

    ``kept`` maps a group's name to the class ids that stay, equally many from each cell; groups not named stay whole.
    ``graph`` must be the graph that was analysed, or a copy of it. Raises PreconditionError, leaving it untouched,
    when a choice would leave a tensor ragged or empty.
    """
    operate(graph, channels.context, keep_mask(channels, kept), REWRITES)
    graph.clean()


def keep_mask(channels: Channels, kept: Mapping[str, Array]) -> Array:
    """Return one bool a class id: whether it stays."""
    keep = np.ones(channels.context.registry_size(), bool)
    groups = {group.name: group for group in channels.groups}
    for name, classes in kept.items():
        if name not in groups:
            raise PreconditionError(f"no channel group is called '{name}'")
        if not np.isin(classes, groups[name].cells).all():
            raise PreconditionError(f"some of the channels to keep are not in the group '{name}'")
        keep[groups[name].cells] = False
        keep[classes] = True
    return keep
