"""How a pass that must *run* a model sees a backend: tools hand it one, passes import none."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from .feeds import Feeds
from .graph import Array, Graph
from .timing import Latency


class Session(Protocol):
    """A model ready to run."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return every declared output by name. Raises InvalidModelError when the model does not run on them."""

    def try_out(self, feeds: Mapping[str, Array], seconds: float) -> None:
        """Run once, for at most ``seconds``. Raises BudgetError beyond, InvalidModelError as :meth:`run`."""


class Runner(Protocol):
    """Makes sessions, and times them."""

    def session(self, graph: Graph, *, outputs: Sequence[str] | None = None, exact: bool = False) -> Session:
        """Prepare ``graph`` to read its values; ``outputs`` names inner tensors to return, not the declared ones.

        The backend may make it faster, not change its number formats; ``exact`` forbids all its graph optimisation.
        """

    def deployed(self, graph: Graph) -> Session:
        """Prepare ``graph`` as its users will, with all that the backend does to make it fast: to be timed."""

    def latency(self, sessions: Sequence[Session], feeds: Sequence[Feeds], seconds: float) -> Latency:
        """Time sessions, each on its feeds, in turns for about ``seconds``."""
