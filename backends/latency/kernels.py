"""Times of units: many in one session, each behind a copy that leaves its input as warm as the layer before would."""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
import onnx
import onnx.helper
from numpy.typing import DTypeLike

from ...ir.errors import InvalidModelError
from ...ir.graph import IR_VERSION, Array
from ...ir.scratch import scratch
from ..ort.profiler import Event, Events, by_node, events, seconds
from ..ort.sessions import declare_external
from .execution import Execution
from .units import NodeSpec, Operand, Unit, form_of

_WARM_UP, _RUNS = 2, 6
_TURNS = 3  # far apart in time, for the machine has slow moments
_AT_ONCE = 300
_ELEMENTS = 2**27  # of activations in one session
_DOMAINS = (("", 17), ("com.microsoft", 1), ("com.microsoft.nchwc", 1))


class Kernels:
    """Measures units. ``footprint`` is how many bytes of weights a run reads: what of them stays in the caches."""

    def __init__(self, target: Execution, footprint: int) -> None:
        self._target = target
        rng = np.random.default_rng(0)
        self._values = rng.standard_normal(max(footprint // 4, 1)).astype(np.float32) * np.float32(0.01)
        self._place = 0

    def measure(self, units: Sequence[Unit]) -> dict[Unit, float]:
        """Return seconds of each unit; those that cannot be built or are refused are left out.

        They run in random order: neighbours of one kind would find their code and layout in the caches.
        """
        mixed = [units[i] for i in np.random.default_rng(0).permutation(len(units))]
        forms = {unit: form for unit in mixed if (form := form_of(unit)) is not None}
        rows: dict[Unit, list[Event]] = {}
        for _ in range(_TURNS):
            for chunk in _chunks(forms):
                for unit, seen in self._measured({unit: forms[unit] for unit in chunk}).items():
                    rows.setdefault(unit, []).extend(seen)
        return {unit: seconds(seen) for unit, seen in rows.items()}

    def _measured(self, forms: dict[Unit, NodeSpec]) -> dict[Unit, list[Event]]:
        """Return events of the runs after the first ones. What is refused is halved until the culprits stand alone."""
        try:
            rows = self._run(list(forms.values()))
        except (InvalidModelError, ValueError):
            if len(forms) == 1:
                return {}
            items = list(forms.items())
            half = len(items) // 2
            return self._measured(dict(items[:half])) | self._measured(dict(items[half:]))
        places = {unit: (f"unit{i}", form.op) for i, (unit, form) in enumerate(forms.items())}
        return {unit: rows[place][_WARM_UP:] for unit, place in places.items() if place in rows}

    def _run(self, forms: Sequence[NodeSpec]) -> Events:
        bench = _Bench(self)
        for place, form in enumerate(forms):
            bench.add(place, form)
        with scratch() as folder:
            session = self._target.runner(folder).load(bench.model(), bench.weights, "none")
            for _ in range(_WARM_UP + _RUNS):
                session.run(bench.feeds)
            return by_node(events(session))

    def weights(self, shape: tuple[int, ...]) -> Array:
        """Return the next values of one buffer, so that a session reads as much memory as the network does."""
        size = prod(shape)
        if size > len(self._values):
            self._values = np.resize(self._values, size)
        if self._place + size > len(self._values):
            self._place = 0
        start = self._place
        self._place += size
        return self._values[start : start + size].reshape(shape)


class _Bench:
    """The model of one session, and what it reads."""

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels
        self._nodes: list[onnx.NodeProto] = []
        self._small: list[onnx.TensorProto] = []
        self._declared: list[onnx.TensorProto] = []
        self.feeds: dict[str, Array] = {}
        self.weights: dict[str, Array] = {}

    def add(self, place: int, form: NodeSpec) -> None:
        """Add one unit and the copies of what it reads."""
        names = [self._operand(f"{place}_{i}", o) if o else "" for i, o in enumerate(form.operands)]
        self._nodes.append(
            onnx.helper.make_node(
                form.op, names, [f"out{place}"], f"unit{place}", domain=form.domain, **form.attributes
            )
        )

    def _operand(self, name: str, operand: Operand) -> str:
        dtype = np.dtype(operand.dtype)
        if not operand.stored:
            source = f"{operand.dtype}_{'_'.join(map(str, operand.shape))}"
            if source not in self.feeds:
                rng = np.random.default_rng(0)
                self.feeds[source] = rng.standard_normal(operand.shape).astype(dtype)
            self._nodes.append(onnx.helper.make_node(_copier(dtype), [source], [f"in{name}"], f"copy{name}"))
            return f"in{name}"
        if dtype == np.float32 and prod(operand.shape) > 256:
            self.weights[f"w{name}"] = self._kernels.weights(operand.shape)
            declared = onnx.TensorProto(name=f"w{name}", data_type=onnx.TensorProto.FLOAT)
            declare_external(declared, self.weights[f"w{name}"])
            self._declared.append(declared)
        else:
            values = np.full(operand.shape, 0.5).astype(dtype)
            self._small.append(onnx.numpy_helper.from_array(values, f"w{name}"))
        return f"w{name}"

    def model(self) -> onnx.ModelProto:
        """Write the model; only the last unit is an output, the memory of the others is used again."""
        make = onnx.helper.make_tensor_value_info
        inputs = [
            make(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in self.feeds.items()
        ]
        output = onnx.ValueInfoProto(name=self._nodes[-1].output[0])
        graph = onnx.helper.make_graph(self._nodes, "units", inputs, [output], self._small + self._declared)
        opsets = [onnx.helper.make_opsetid(*domain) for domain in _DOMAINS]
        return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def _copier(dtype: DTypeLike) -> str:
    """Choose the operator of the copies. Identity copies large tensors past the caches, as no layer writes them."""
    return "Relu" if np.dtype(dtype) == np.float32 else "Identity"


def _chunks(forms: dict[Unit, NodeSpec]) -> Iterator[list[Unit]]:
    held: list[Unit] = []
    elements = 0
    for unit, form in forms.items():
        elements += sum(prod(o.shape) for o in form.operands if o and not o.stored)
        held.append(unit)
        if len(held) == _AT_ONCE or elements > _ELEMENTS:
            yield held
            held, elements = [], 0
    if held:
        yield held
