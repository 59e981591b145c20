"""onnxruntime as the runner: sessions over graphs, optimised or exact."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as refusals

from ...ir.attributes import LOOPS
from ...ir.errors import InvalidModelError, UnloadableError
from ...ir.feeds import Feeds
from ...ir.graph import Array, Graph
from ...ir.mapped import Place, give_back, place_of
from ...ir.protos import every_node
from ...ir.qonnx import expanded
from ...ir.runner import Session
from ...ir.timing import FEWEST, Latency
from .environment import severity
from .noise import seed
from .stopwatch import Clock, Runs, latency, thread_clock
from .watch import watched

OPTIMISED = "optimised.onnx"

Level = Literal["none", "values", "deployed"]
"""How far onnxruntime rewrites a model: not at all, without another number format, or as its users have it."""

_LARGE = 1024
_ROOT = "/"  # where onnxruntime looks for weights in files
_HANDED_OVER = Place("memory", 0)
_LOADS = 6
_HERE = "CPUExecutionProvider"

REFUSALS = (
    refusals.Fail,
    refusals.InvalidArgument,
    refusals.InvalidGraph,
    refusals.InvalidProtobuf,
    refusals.NoModel,
    getattr(refusals, "NotFound", refusals.Fail),  # newer than the oldest onnxruntime that will do
    refusals.NotImplemented,
    refusals.RuntimeException,
)


@dataclass(frozen=True)
class OrtSession:
    """One loaded model. ``lent``: what it uses of ours for as long as it lives."""

    inner: onnxruntime.InferenceSession
    lent: Sequence[onnxruntime.OrtValue] = ()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return every declared output by name; inputs the model does not declare are ignored.

        Texts become numbers, the same for the same text.

        Raises InvalidModelError with onnxruntime's own first line.
        """
        return self._run(feeds, None)

    def try_out(self, feeds: Mapping[str, Array], seconds: float) -> None:
        """Run once, for at most ``seconds``. Raises BudgetError beyond, InvalidModelError as :meth:`run`."""
        with watched(seconds) as options:
            self._run(feeds, options)

    def _run(self, feeds: Mapping[str, Array], options: onnxruntime.RunOptions | None) -> dict[str, Array]:
        names = [output.name for output in self.inner.get_outputs()]
        wanted = {value.name for value in self.inner.get_inputs()}
        try:
            values = self.inner.run(names, {name: array for name, array in feeds.items() if name in wanted}, options)
        except (*REFUSALS, RuntimeError, ValueError) as error:  # the latter for arrays that it cannot take
            raise InvalidModelError("onnxruntime does not run the model", why=str(error).splitlines()[0]) from error
        return {name: _numbers(value) for name, value in zip(names, values, strict=True)}


def _numbers(value: Any) -> Array:
    """Give texts their checksums; return other arrays with memory of their own.

    What onnxruntime returns lies in the memory that the session has taken for all of its tensors together, and holds
    all of that for as long as it is kept itself.
    """
    if not isinstance(value, np.ndarray):
        return cast(Array, value)
    if value.dtype.kind != "O":
        return value.copy()
    sums = [zlib.crc32(str(text).encode()) for text in value.ravel()]
    return np.array(sums, np.int64).reshape(value.shape)


@dataclass(frozen=True)
class _Bare:
    """A session that does nothing besides running: its feeds are the model's inputs, and were run before."""

    inner: onnxruntime.InferenceSession

    def run(self, feeds: Feeds) -> None:
        """Run once."""
        self.inner.run(None, feeds)


def _bare(session: Session, feeds: Feeds) -> tuple[Runs, Feeds]:
    """Run once, where a refusal shows, and return what is left to be timed."""
    session.run(feeds)
    if not isinstance(session, OrtSession):
        return session, feeds
    wanted = {value.name for value in session.inner.get_inputs()}
    return _Bare(session.inner), {name: array for name, array in feeds.items() if name in wanted}


@dataclass(frozen=True)
class OrtRunner:
    """Makes sessions. ``threads`` 0 leaves the number to onnxruntime.

    ``spinning`` lets threads wait busily for the next operator of a run: quicker for one session alone, slower beside
    other work in the process. ``record`` is a folder for what onnxruntime runs, of one session: its own optimised form
    of the model, as ``OPTIMISED``, unless that is exact, and the events of its profiler.
    """

    threads: int = 0
    spinning: bool = False
    record: Path | None = None
    provider: str = _HERE

    def session(self, graph: Graph, *, outputs: Sequence[str] | None = None, exact: bool = False) -> OrtSession:
        """Load ``graph`` to read its values; ``outputs`` names inner tensors to return.

        Quantised values are computed as the model says, never by the low-bit products that onnxruntime would put in
        their place, which are others by up to a percent. ``exact`` switches all graph optimisation off.
        Raises InvalidModelError when onnxruntime refuses the model.
        """
        if outputs is not None:
            graph = graph.copy()
            tensors = graph.tensors()
            graph.set_outputs([tensors[name] for name in outputs])
            graph.clean()
        return self.load(*graph.light(), "none" if exact else "values")

    def deployed(self, graph: Graph) -> OrtSession:
        """Load ``graph`` as its users will, to be timed. Raises InvalidModelError when it is refused."""
        return self.load(*graph.light(), "deployed")

    def load(self, model: onnx.ModelProto, large: Mapping[str, Array], level: Level) -> OrtSession:
        """Load a model; ``large`` has the values of constants, by name, which it holds or declares as external.

        Those that lie in files are used as they are mapped, by all sessions, and not packed into copies of their own.
        Random operators get a seed where they have none, so that the runs of all sessions meet the same noise, and
        QONNX's quantisers are run as standard operators.
        Raises UnloadableError with onnxruntime's own first line.
        """
        options = self._options(level)
        for stored in model.graph.initializer:
            if stored.name in large and stored.data_location != onnx.TensorProto.EXTERNAL:
                declare_external(stored, large[stored.name])
        values = _hand_over(options, large)
        # The arena of onnxruntime ends the process where a loop fills the memory that may be used.
        options.enable_cpu_mem_arena = not any(node.op_type in LOOPS for node in every_node(model.graph))
        seed(model.graph)
        expanded(model)
        try:
            data = model.SerializeToString()
            return OrtSession(onnxruntime.InferenceSession(data, options, providers=[self.provider]), values)
        except (*REFUSALS, ValueError) as error:
            raise UnloadableError("onnxruntime does not load the model", why=str(error).splitlines()[0]) from error

    def latency(self, sessions: Sequence[Session], feeds: Sequence[Feeds], seconds: float) -> Latency:
        """Time sessions in turns, see :func:`backends.ort.stopwatch.latency`; on one thread of ours by CPU time too.

        Nothing of ours is timed with them: it would be some percent of a small network. Raises InvalidModelError when a
        model does not run.
        """
        return self._timed(sessions, feeds, seconds, FEWEST)

    def compare(self, graphs: Sequence[Graph], feeds: Sequence[Feeds], seconds: float) -> Latency:
        """Time graphs in turns, all of them loaded six times, each time for a sixth of ``seconds``.

        Raises InvalidModelError when a model does not run.
        """
        parts = (
            self._timed([self.deployed(graph) for graph in graphs], feeds, seconds / _LOADS, 1) for _ in range(_LOADS)
        )
        return reduce(Latency.joined, parts)

    def _timed(self, sessions: Sequence[Session], feeds: Sequence[Feeds], seconds: float, least: int) -> Latency:
        bare = [_bare(session, given) for session, given in zip(sessions, feeds, strict=True)]
        return latency([run for run, _ in bare], [given for _, given in bare], seconds, busy=self.busy, least=least)

    @property
    def busy(self) -> Clock | None:
        """The clock of the thread that sessions run in, None where there are more, or a device does the work."""
        return thread_clock(self.threads) if self.provider == _HERE else None

    def _options(self, level: Level) -> onnxruntime.SessionOptions:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = severity()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(self.spinning)))
        # Threads that spin on between runs would take the cores from the next session to run.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if level == "values":
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        if level == "none":
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        if self.record is not None:
            options.enable_profiling = True
            options.profile_file_prefix = f"{self.record}/events"
            if level != "none":
                _keep_optimised(options, self.record)
        return options


def _keep_optimised(options: onnxruntime.SessionOptions, folder: Path) -> None:
    options.optimized_model_filepath = f"{folder}/{OPTIMISED}"
    # Weights in one protobuf file would be refused above 2 GB.
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights")
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", str(_LARGE))


def _hand_over(options: onnxruntime.SessionOptions, large: Mapping[str, Array]) -> list[onnxruntime.OrtValue]:
    """Give a session its large constants; return those that it uses as they are."""
    values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in large.items()}
    lent = [name for name, array in large.items() if place_of(array) is not None]
    copied = [name for name in large if name not in set(lent)]
    if copied:
        options.add_external_initializers(copied, [values[name] for name in copied])
    if lent:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", _ROOT)
        options.add_session_config_entry("session.disable_prepacking", "1")
        give_back()  # what other graphs have touched
    for name in lent:
        options.add_initializer(name, values[name])
    return [values[name] for name in lent]


def declare_external(stored: onnx.TensorProto, array: Array) -> None:
    """Let a tensor of a model stand for an array: of a mapped file, or handed over when the model is loaded."""
    place = place_of(array) or _HANDED_OVER
    stored.dims[:] = array.shape
    stored.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (
        ("location", place.path.removeprefix(_ROOT)),
        ("offset", str(place.offset)),
        ("length", str(array.nbytes)),
    ):
        stored.external_data.add(key=key, value=value)
