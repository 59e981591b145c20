"""Whose fault a failure is: a model that does not run at all is to blame for what goes wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..ir.errors import InvalidModelError, OptimiseOnnxError, PassError, UnloadableError
from ..ir.feeds import random_feeds
from ..ir.graph import Graph
from ..ir.runner import Runner

_OURS = 1  # the exit code of a bug
_SECONDS = 10.0


@contextmanager
def blamed(graph: Graph, runner: Runner) -> Iterator[None]:
    """Where the block fails as if by a bug, run the model on a random input.

    Raises InvalidModelError for a model that does not run, PassError where it is a rewritten graph that the runtime
    refuses to load; else what the block raised.
    """
    try:
        yield
    except MemoryError:
        raise
    except UnloadableError as error:
        runner.session(graph)
        hint = "please report this model"
        raise PassError("a rewritten graph is refused", why=error.why or str(error), hint=hint) from error
    except Exception as error:
        if not isinstance(error, OptimiseOnnxError) or error.exit_code == _OURS:
            _check_runs(graph, runner, error)
        raise


def _check_runs(graph: Graph, runner: Runner, error: Exception) -> None:
    try:
        runner.session(graph).try_out(random_feeds(graph, np.random.default_rng(0), 1), _SECONDS)
    except InvalidModelError as refused:
        raise InvalidModelError("the model does not run", why=refused.why or str(refused)) from error
