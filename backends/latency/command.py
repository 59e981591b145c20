"""Times asked of a user's command: a board over ssh, a simulator."""

import hashlib
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...ir.errors import InvalidModelError, UsageError
from ...ir.graph import Graph
from ...ir.scratch import scratch
from ...ir.workers import IN_PROCESS, Workers
from ..process import run
from .asked import Asked

_PLACE = "{model}"
_LINES = 3


@dataclass(frozen=True)
class Command(Asked):
    """A device behind a command: the graph is written to a file, whose path stands for ``{model}`` in ``command``.

    What the command prints last must be milliseconds. It is split as a shell would, and run without one, for at most
    ``limit`` seconds, where the ``workers`` are. Raises UsageError for a command without ``{model}``.
    """

    command: str
    limit: float = 600.0
    workers: Workers = field(default=IN_PROCESS, repr=False, compare=False)
    _known: dict[bytes, float] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            shlex.split(self.command)
        except ValueError as error:
            raise UsageError(f"the latency command '{self.command}' cannot be read", why=str(error)) from error
        if _PLACE not in self.command:
            raise UsageError(f"the latency command '{self.command}' has no {_PLACE}", hint="it names the file to time")

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        """Return the times that the command prints, each model asked about once: a board may be slow to reach.

        Raises UsageError when it cannot be started, does not end in time or prints no number above zero;
        InvalidModelError with the end of its own text when it fails.
        """
        keys = [hashlib.sha256(_serialised(graph)).digest() for graph in graphs]
        fresh = {key: graph for key, graph in zip(keys, graphs, strict=True) if key not in self._known}
        names = list(fresh)
        for number, seconds in self.workers.each(asked, (self.command, self.limit), list(fresh.values())):
            self._known[names[number]] = seconds
        return [self._known[key] for key in keys]


def asked(command: str, limit: float, graph: Graph) -> float:
    """Run the command on a model; return the seconds it prints. Raises as :meth:`Command.times`."""
    with scratch() as folder:
        path = folder / "model.onnx"
        path.write_bytes(_serialised(graph))
        return _read(_printed(command, [word.replace(_PLACE, str(path)) for word in shlex.split(command)], limit))


def _serialised(graph: Graph) -> bytes:
    written: bytes = graph.copy().to_model().SerializeToString(deterministic=True)
    return written


def _printed(command: str, words: list[str], limit: float) -> str:
    try:
        ended = run(words, limit)
    except (OSError, ValueError) as error:
        raise UsageError(f"the latency command '{command}' cannot be started", why=str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"the latency command '{command}' took over {limit:g} seconds") from error
    if ended.status != 0:
        text = "; ".join(ended.last(_LINES))
        raise InvalidModelError(f"the latency command ended with code {ended.status}", why=text)
    return ended.out


def _read(text: str) -> float:
    last = (text.split() or [""])[-1]
    try:
        milliseconds = float(last)
    except ValueError:
        milliseconds = 0.0
    if not 0 < milliseconds < float("inf"):
        shown = text.strip().splitlines()[-_LINES:]
        why = f"it printed '{'; '.join(shown)}'"
        raise UsageError("the latency command printed no milliseconds at its end", why=why)
    return milliseconds / 1e3
