"""Channel analysis: propagate labels to a fixed point, close ties into classes, and classes into groups.

Atoms tied to each other form a *class*: they go together. Classes that lie in the same tensors, or must keep equal
counts, form a *group*. A group with equal-count constraints is laid out in *cells* of one size; a *unit* of choice
takes one class out of every cell.
"""

from dataclasses import dataclass

import networkx as nx
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ...ir.errors import InvalidModelError
from ...ir.graph import Array, Graph
from ...ir.shapes import Shape, concrete, input_sizes
from .context import Context, Pin
from .rules.elementwise import static
from .rules.table import propagate


@dataclass(frozen=True)
class Group:
    """Coupled channels. ``cells``: (cells, width) class ids, a unit takes one class from each row."""

    name: str
    cells: Array
    members: tuple[str, ...]

    @property
    def width(self) -> int:
        """How many units there are."""
        return int(self.cells.shape[1])


@dataclass(frozen=True)
class Channels:
    """The result: groups that can shrink, pins with reasons, and the label state that removal works from."""

    groups: tuple[Group, ...]
    pins: tuple[tuple[str, Pin], ...]
    context: Context
    classes: Array
    floors: tuple[Array, ...]
    axes: "nx.Graph[str]"


def analyse(graph: Graph, sizes: dict[str, Shape] | None = None) -> Channels:
    """Find every group of coupled channels. ``sizes`` gives input shapes; symbols default to batch 3 and side 32.

    Raises InvalidModelError when the shapes of the inputs are unknown.
    """
    shapes = _shapes(graph, sizes)
    registry: dict[tuple[str, Shape], int] = {}
    classes = np.zeros(1, np.int64)
    history: list[tuple[Array, Pin]] = []
    while True:
        ctx = Context(graph, shapes, classes, registry=registry)
        for node in graph.nodes:
            propagate(ctx, node)
        _keep_outputs(ctx)
        history.extend(ctx.pins)
        closed = _close(ctx, history)
        if np.array_equal(closed, classes):
            return _grouped(ctx, classes, history)
        classes = closed


def _keep_outputs(ctx: Context) -> None:
    for tensor in ctx.graph.outputs:
        producer = tensor.producer
        if producer is not None:
            why = f"'{tensor.name}' is an output of the model"
            ctx.pin(ctx.of(tensor).atoms, producer, why, "keep it, or cut the graph before it")
            if static(tensor):
                ctx.demand(tensor, [], producer)


def _shapes(graph: Graph, sizes: dict[str, Shape] | None) -> dict[str, Shape]:
    if sizes is not None:
        return concrete(graph, sizes)
    best: dict[str, Shape] = {}
    for batch, side in ((3, 32), (3, 64), (3, 224), (1, 16), (1, 8), (1, 1)):
        wanted = input_sizes(graph, batch, side)
        try:
            found = concrete(graph, wanted)
        except InvalidModelError:
            continue
        if len(found) > len(best):
            best = found
        if all(t.name in best for node in graph.nodes for t in node.outputs if t.name):
            break
        if wanted == input_sizes(graph, batch, side + 1) == input_sizes(graph, batch + 1, side):
            break
    return best


def _close(ctx: Context, pins: list[tuple[Array, Pin]]) -> Array:
    """Return the class of every atom: the smallest member, 0 when something in the class is pinned."""
    size = ctx.registry_size()
    old = np.arange(size)
    old[: len(ctx.classes)] = ctx.classes
    left = [np.arange(size), *(a for a, _ in ctx.ties), *(atoms for atoms, _ in pins)]
    right = [old, *(b for _, b in ctx.ties), *(np.zeros_like(atoms) for atoms, _ in pins)]
    a, b = np.concatenate(left), np.concatenate(right)
    links = coo_array((np.ones(len(a), bool), (a, b)), shape=(size, size))
    count, label = connected_components(links, directed=False)
    smallest = np.full(count, size)
    np.minimum.at(smallest, label, np.arange(size))
    return smallest[label]


def _grouped(ctx: Context, classes: Array, history: list[tuple[Array, Pin]]) -> Channels:
    alike = _interchangeable(ctx)
    owner = {int(member): name for name, members in alike.items() for member in members}
    axes: nx.Graph[str] = nx.Graph()
    axes.add_nodes_from(alike)
    for blocks in ctx.blocks:
        nx.add_path(axes, dict.fromkeys(owner[int(member)] for member in np.unique(blocks)))
    order = {name: place for place, name in enumerate(alike)}
    groups = []
    for component in nx.connected_components(axes):
        names = sorted(component, key=order.__getitem__)
        groups.append(_cells(ctx, names, np.sort(np.concatenate([alike[name] for name in names]))))
    groups.sort(key=lambda group: order[group.name])
    pins = dict.fromkeys((_birth_name(ctx, atoms), pin) for atoms, pin in history)
    return Channels(tuple(groups), tuple(pins), ctx, classes, _floors(ctx), axes)


def _interchangeable(ctx: Context) -> dict[str, Array]:
    """Collect classes that lie in exactly the same tensors; named after the tensor where they are born."""
    where: dict[int, list[int]] = {}
    for place, labels in enumerate(ctx.labels.values()):
        for member in np.unique(labels.atoms).tolist():
            where.setdefault(member, []).append(place)
    where.pop(0, None)
    named: dict[str, dict[tuple[int, ...], list[int]]] = {}
    first = {int(member): birth.tensor for birth in reversed(ctx.births) for member in np.unique(birth.atoms)}
    for member, places in where.items():
        named.setdefault(first[member], {}).setdefault(tuple(places), []).append(member)
    found: dict[str, Array] = {}
    for birth in ctx.births:
        for number, members in enumerate(named.pop(birth.tensor, {}).values()):
            found[birth.tensor if number == 0 else f"{birth.tensor}#{number}"] = np.asarray(members)
    return found


def _birth_name(ctx: Context, atoms: Array) -> str:
    first = int(atoms.min())
    for (name, form), start in ctx.registry.items():
        if start <= first < start + int(np.prod(form)):
            return name
    return ""


def _cells(ctx: Context, names: list[str], own: Array) -> Group:
    """Cut a group's classes into cells of one size such that equal counts in all cells satisfy every constraint."""
    keys: dict[int, list[tuple[int, int, int]]] = {int(c): [] for c in own}
    for number, blocks in enumerate(ctx.blocks):
        for row, block in enumerate(blocks):
            members, times = np.unique(block, return_counts=True)
            for member, count in zip(members.tolist(), times.tolist(), strict=True):
                if member in keys:
                    keys[member].append((number, row, count))
    buckets: dict[tuple[tuple[int, int, int], ...], list[int]] = {}
    for member in own.tolist():
        buckets.setdefault(tuple(keys[member]), []).append(member)
    size = int(np.gcd.reduce([len(bucket) for bucket in buckets.values()]))
    cells = np.concatenate([np.asarray(bucket).reshape(-1, size) for bucket in buckets.values()])
    return Group(names[0], cells, tuple(names))


def _floors(ctx: Context) -> tuple[Array, ...]:
    """Return the sets of classes of which at least one must stay: the ones some tensor consists of."""
    found: dict[bytes, Array] = {}
    for labels in ctx.labels.values():
        members = np.unique(labels.atoms)
        if members[0] != 0:
            found[members.tobytes()] = members
    return tuple(found.values())
