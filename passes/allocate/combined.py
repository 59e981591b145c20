"""``allocation=global``: all groups, whole blocks and layers' forms compete for the budget by the error they cost."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from ...ir.graph import Array
from .cost_model import Floats
from .greedy import Menu
from .problem import Ints, Problem

_ROUNDS = 4


def by_error(task: Problem, curves: Sequence[Array]) -> Floats | None:
    """Return the choice with the least summed error within the budget, (G + S,), or None.

    ``curves[g]`` (width + 1,): error after 0, 1, … rounds; those of forms are in the task's menus. A dropped block
    takes what only it read or fed along, which the cost over widths does not know: those groups count as gone in
    another round, and the others share what is free.
    """
    minimum = task.minimum.copy()
    minimum[task.droppable] = 0
    gone = np.zeros(len(curves), bool)
    found: Floats | None = None
    for _ in range(_ROUNDS):
        left = [np.zeros(1) if lost else curve for lost, curve in zip(gone.tolist(), curves, strict=True)]
        better = task.meet(partial(_jointly, task, left, minimum))
        if better is None:
            break
        found = better
        now = gone | _vanished(task, found)
        if (now == gone).all():
            break
        gone = now
    return found


def branches_at(weight: float, task: Problem, curves: Sequence[Array]) -> list[Array]:
    """Return the curves with the error of a group's last round times ``weight`` where the whole group may go.

    What lost blocks do together is less than the sum of what each does alone, by how much differs.
    """
    weighed = [curve.copy() for curve in curves]
    for number in task.droppable.tolist():
        weighed[number][-1] *= weight
    return weighed


def one_by_one(task: Problem, curves: Sequence[Array], choice: Ints | Floats) -> tuple[float, float]:
    """Add up what lost channels do, and what forms do, each alone."""
    lost, groups = task.lost(choice), len(task.groups)
    channels = [curve[lost.get(group.name, 0)] for group, curve in zip(task.groups, curves, strict=True)]
    shares = zip(task.menus, choice[groups:].tolist(), strict=True)
    return float(sum(channels)), float(sum(menu.error_at(share) for menu, share in shares))


def _jointly(task: Problem, curves: Sequence[Array], minimum: Ints, budget: float) -> Floats | None:
    """Allocate; where blocks cannot all go at once, the dearest keep a channel from then on."""
    while True:
        widths = enumerate(zip(curves, minimum.tolist(), strict=True))
        menus = [task.menu(number, curve, least) for number, (curve, least) in widths]
        levels = task.allocate([*menus, *(Menu(menu.shares, menu.errors) for menu in task.menus)], budget)
        if levels is None:
            return None
        kept = task.choice(levels)
        empty = [number for number in task.droppable.tolist() if not kept[number]]
        empty.sort(key=lambda number: float(curves[number][-1]))
        stuck = sorted(set(empty) - set(task.together(empty)))
        if not stuck:
            return kept
        minimum[stuck] = 1


def _vanished(task: Problem, choice: Floats) -> npt.NDArray[np.bool_]:
    """Say which groups no longer occur in the rewritten graph."""
    groups = task.groups
    if choice[: len(groups)].all():
        return np.zeros(len(groups), bool)
    tensors = task.pruned(choice).tensors()
    context = task.ranking.channels.context
    alive = np.zeros(context.registry_size(), bool)
    for name, labels in context.labels.items():
        if name in tensors and not tensors[name].is_constant:
            alive[labels.atoms] = True
    return np.array([not alive[group.cells].any() for group in groups])
