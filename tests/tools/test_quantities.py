"""``compress`` to peak memory, and to quantities of another package: one counted, one that a device tells."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import digits
import numpy as np
import onnx
import pytest
from oracle import graph_of
from zoo import ARCHITECTURES, feeds
from zoo.builder import Builder

import optimise_onnx
from optimise_onnx.ir import registry
from optimise_onnx.ir.cost import cost, total
from optimise_onnx.ir.errors import TargetNotMetError, UsageError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.quantity import Measured, Quantity
from optimise_onnx.ir.timing import Comparison
from optimise_onnx.passes.analysis.channels.groups import Channels
from optimise_onnx.passes.analysis.costs.meters import Counted
from optimise_onnx.passes.analysis.costs.peak_memory import PEAK_MEMORY
from optimise_onnx.passes.analysis.costs.products import Product
from optimise_onnx.passes.analysis.costs.sums import MACS
from optimise_onnx.passes.analysis.costs.target import Target
from optimise_onnx.tools import table

from .conftest import Run
from .test_latency import Runs

OPTIONS: dict[str, Any] = {"align": 1, "guard": False, "cache": False}


@dataclass(frozen=True)
class Energy(Counted):
    """Picojoules: four a multiply-accumulate and one a weight's byte."""

    def of(self, graph: Graph) -> float:
        """Count a whole graph."""
        whole = total(cost(graph))
        return 4.0 * whole.macs + whole.bytes

    def products(self, graph: Graph, channels: Channels) -> list[Product]:
        """Write the energy of the arithmetic alone: the allocator finds out about the rest."""
        return [Product(4 * p.factor, p.left, p.right, p.layer) for p in MACS.products(graph, channels)]


@dataclass(frozen=True)
class Meter:
    """Tells the charge of a run: a microcoulomb a thousand bytes."""

    separable = False

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        """Return what each takes."""
        return [sum(t.array.nbytes for t in graph.constants()) / 1e3 for graph in graphs]

    def multiple(self) -> int:
        """Any width is as good."""
        return 1

    def compare(self, before: Graph, after: Graph) -> Comparison:
        """Hold two figures against each other."""
        return Comparison.exact(*self.times([before, after]))

    def layers(self, _graph: Graph) -> Mapping[str, float]:
        """Tell no layers apart."""
        return {}

    def forecast(self, _graph: Graph, _others: Sequence[Graph]) -> "Meter":
        """Return itself."""
        return self


@dataclass(frozen=True)
class Offered:
    """An entry point of another package."""

    name: str
    result: Quantity
    value: str = "theirs:any"

    def load(self) -> Quantity:
        """Return what is offered."""
        return self.result


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with two quantities."""
    package = ModuleType("theirs")
    package.meter = lambda _original, _quantity: Meter()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "theirs", package)
    energy = Energy("energy", "pJ", {"pJ": 1.0, "nJ": 1e3}, shown="nJ", examples=("0.5x",))
    charge = Measured("charge", "uC", {"uC": 1.0, "mC": 1e3}, maker="theirs:meter")
    entries = (Offered("charge", charge), Offered("energy", energy))
    monkeypatch.setattr(registry, "offered", lambda group: entries if group == "optimise_onnx.quantities" else ())


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    ("target", "unit"), [("energy=0.6x", "nJ"), ("energy=150nJ", "nJ"), ("charge=0.6x", "uC"), ("charge=5uC", "uC")]
)
def test_quantities_of_another_package(target: str, unit: str, folder: object, run: Runs) -> None:
    assert str(Target.parse(target)) == target
    found: Run = run("compress", "in.onnx", "-o", "out.onnx", "--data", "data.npz", "--labels", "label",
                     "--target", target, "--no-guard")  # fmt: skip
    assert (found.code, found.err) == (0, "")
    assert f"{target.partition('=')[0]}, aimed at" in found.out and unit in found.out


@pytest.mark.usefixtures("theirs")
def test_they_are_met_by_their_own_count(folder: Any) -> None:
    for target in ("energy=0.6x", "charge=0.6x"):
        found = optimise_onnx.compress("in.onnx", target=target, **OPTIONS)
        assert 0.5 * found.report.aim.before < found.report.aim.after <= 0.6 * found.report.aim.before
        told = found.report.to_json()["aim"]
        assert (told["quantity"], told["after"]) == (target.partition("=")[0], found.report.aim.after)
        assert table.before_after(found.report).row_count
    with pytest.raises(TargetNotMetError, match="the least charge that was found is 0."):
        optimise_onnx.compress("in.onnx", target="charge=0.001x", **OPTIONS)
    with pytest.raises(UsageError, match="charge=0.5x or energy=0.5x"):
        Target.parse("weight=0.5x")


def plain() -> onnx.ModelProto:
    """Wide and large in front, narrow and small behind."""
    b = Builder("plain")
    x = b.input("x", ["N", 3, 24, 24])
    for width in (24, 24):
        x = b.conv_bn_relu(x, width)
    x = b.max_pool(b.max_pool(x))
    for width in (16, 16):
        x = b.conv_bn_relu(x, width)
    return b.model(b.head(x))


def reached(model: onnx.ModelProto, target: str, **options: Any) -> tuple[float, Graph]:
    """Compress; return what is left of the original's peak by a count of one's own, and the graph."""
    found = optimise_onnx.compress(model, target=target, **(OPTIONS | options))
    graph = graph_of(found.model)
    assert found.report.aim.after == PEAK_MEMORY.of(graph)
    return PEAK_MEMORY.of(graph) / found.report.aim.before, graph


@pytest.mark.parametrize("name", ["resnet_projection", "unet"])
def test_peak_memory_is_met(name: str) -> None:
    model = ARCHITECTURES[name]()
    left, _ = reached(model, "peak-memory=0.6x", data=feeds(model, 0, 16))
    assert 0.5 < left <= 0.6


def test_peak_memory_of_the_shipped_network() -> None:
    data = {"image": digits.samples().calibration[:48]}
    left, _ = reached(optimise_onnx.demo.paths()[0], "peak-memory=0.5x", data=data)
    assert 0.45 < left <= 0.5


@pytest.mark.parametrize("allocation", ["global", "uniform", "bisect"])
def test_what_no_step_needs_cut_stays(allocation: str) -> None:
    model = plain()
    left, graph = reached(model, "peak-memory=0.5x", data=feeds(model, 0, 24), allocation=allocation)
    assert 0.4 < left <= 0.5
    widths = [node.inputs[1].array.shape[0] for node in graph.nodes if node.op == "Conv"]
    assert max(widths[:2]) < 20
    if allocation == "global":
        assert widths[2:] == [16, 16]


def test_bytes_of_peak_memory(folder: Any, run: Runs) -> None:
    found = run("compress", "in.onnx", "-o", "out.onnx", "--target", "peak-memory=8kB", "--no-guard")
    assert (found.code, found.err) == (0, "") and "peak-memory, aimed at" in found.out
    assert PEAK_MEMORY.of(graph_of(onnx.load("out.onnx"))) <= 8000
    found = run("compress", "in.onnx", "-o", "out.onnx", "--target", "peak-memory=100B", "--no-guard")
    assert found.code == 4 and "peak-memory=100 cannot be reached" in found.error and "are left" in found.error


def test_forms_cannot_be_weighed(folder: Any) -> None:
    data = {"x": np.load("data.npz")["x"]}
    with pytest.raises(UsageError, match="forms cannot be weighed in peak-memory"):
        optimise_onnx.compress("in.onnx", target="peak-memory=0.6x", data=data, forms=["stretch"], **OPTIONS)


def test_shares_of_parameters_are_of_those_in_the_file() -> None:
    """A table that is read as it lies and turned is stored once, and twice once constants are folded."""
    b = Builder("tied")
    table = b.weight([60, 16])
    h = b.node("Gather", [table, b.input("ids", ["N", 6], np.int64)])
    h = b.matmul(b.relu(b.matmul(h, 64)), 16)
    model = b.model(b.node("MatMul", [h, b.node("Transpose", [table], perm=[1, 0])]))
    before = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)
    found = optimise_onnx.compress(model, target="params=0.7x", align=1, guard=False)
    assert found.report.before.parameters == before
    assert found.report.after.parameters <= 0.7 * before
