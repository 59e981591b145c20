"""onnxruntime as the runner: sessions over graphs, optimised or exact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as refusals

from ..ir.errors import InvalidModelError
from ..ir.graph import Array, Graph

_REFUSALS = (
    refusals.Fail,
    refusals.InvalidArgument,
    refusals.InvalidGraph,
    refusals.InvalidProtobuf,
    refusals.NoModel,
    refusals.NotFound,
    refusals.NotImplemented,
    refusals.RuntimeException,
)


@dataclass(frozen=True)
class OrtSession:
    """One loaded model."""

    inner: onnxruntime.InferenceSession

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return every declared output by name; inputs the model does not declare are ignored.

        Raises InvalidModelError with onnxruntime's own first line.
        """
        names = [output.name for output in self.inner.get_outputs()]
        wanted = {value.name for value in self.inner.get_inputs()}
        try:
            values = self.inner.run(names, {name: array for name, array in feeds.items() if name in wanted})
        except _REFUSALS as error:
            raise InvalidModelError("onnxruntime does not run the model", why=str(error).splitlines()[0]) from error
        return dict(zip(names, values, strict=True))


@dataclass(frozen=True)
class OrtRunner:
    """Makes CPU sessions. ``threads`` 0 leaves the number to onnxruntime.

    ``spinning`` lets idle threads wait busily: quicker for one session alone, slower beside other work in the process.
    """

    threads: int = 0
    spinning: bool = False

    def session(self, graph: Graph, *, outputs: Sequence[str] | None = None, exact: bool = False) -> OrtSession:
        """Load ``graph``; ``outputs`` names inner tensors to return. ``exact`` switches graph optimisation off.

        Raises InvalidModelError when onnxruntime refuses the model.
        """
        if outputs is not None:
            graph = graph.copy()
            tensors = graph.tensors()
            graph.set_outputs([tensors[name] for name in outputs])
            graph.clean()
        return load(graph.to_model(), threads=self.threads, exact=exact, spinning=self.spinning)


def load(model: onnx.ModelProto, *, threads: int = 0, exact: bool = False, spinning: bool = True) -> OrtSession:
    """Load a model proto. Raises InvalidModelError with onnxruntime's own first line."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    if not spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if exact:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        data = model.SerializeToString()
        return OrtSession(onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"]))
    except (*_REFUSALS, ValueError) as error:
        raise InvalidModelError("onnxruntime does not load the model", why=str(error).splitlines()[0]) from error
