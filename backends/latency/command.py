"""Times asked of a user's command: a board over ssh, a simulator."""

import hashlib
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx

from ...ir.errors import InvalidModelError, UsageError
from ...ir.graph import Graph
from ...ir.scratch import scratch
from ..process import run
from .asked import Asked

_PLACE = "{model}"
_LINES = 3


@dataclass(frozen=True)
class Command(Asked):
    """A device behind a command: the graph is written to a file, whose path stands for ``{model}`` in ``command``.

    What the command prints last must be milliseconds. It is split as a shell would, and run without one, for at most
    ``limit`` seconds. Raises UsageError for a command without ``{model}``.
    """

    command: str
    limit: float = 600.0
    _known: dict[bytes, float] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            shlex.split(self.command)
        except ValueError as error:
            raise UsageError(f"the latency command '{self.command}' cannot be read", why=str(error)) from error
        if _PLACE not in self.command:
            raise UsageError(f"the latency command '{self.command}' has no {_PLACE}", hint="it names the file to time")

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        """Return the times that the command prints, asked one after another.

        Raises UsageError when it cannot be started, does not end in time or prints no number above zero;
        InvalidModelError with the end of its own text when it fails.
        """
        return [self._time(graph) for graph in graphs]

    def _time(self, graph: Graph) -> float:
        """Ask once for each model: a board may be slow to reach."""
        model = graph.copy().to_model()
        key = hashlib.sha256(model.SerializeToString(deterministic=True)).digest()
        if key not in self._known:
            with scratch() as folder:
                path = folder / "model.onnx"
                onnx.save(model, path)
                words = [word.replace(_PLACE, str(path)) for word in shlex.split(self.command)]
                self._known[key] = self._read(self._run(words))
        return self._known[key]

    def _run(self, words: list[str]) -> str:
        try:
            ended = run(words, self.limit)
        except (OSError, ValueError) as error:
            raise UsageError(f"the latency command '{self.command}' cannot be started", why=str(error)) from error
        except subprocess.TimeoutExpired as error:
            raise UsageError(f"the latency command '{self.command}' took over {self.limit:g} seconds") from error
        if ended.status != 0:
            text = "; ".join(ended.last(_LINES))
            raise InvalidModelError(f"the latency command ended with code {ended.status}", why=text)
        return ended.out

    def _read(self, text: str) -> float:
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
