"""A second run of the same model, data and options starts from the cache: same bytes, no statistics, no probes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from oracle import graph_of
from zoo import ZOO, feeds

from optimise_onnx.backends.ort import OrtRunner, OrtSession
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cache import DiskCache
from optimise_onnx.passes.manager import PassManager


@dataclass
class Counting:
    """A runner that counts its sessions."""

    sessions: int = 0

    def session(self, graph: Graph, *, outputs: Sequence[str] | None = None, exact: bool = False) -> OrtSession:
        self.sessions += 1
        return OrtRunner(1).session(graph, outputs=outputs, exact=exact)


def run(name: str, target: str, folder: Path | None, seed: int = 0, select: str = "") -> tuple[bytes, int]:
    """Return the smaller model and how many sessions it took."""
    model = ZOO[name]()
    graph, runner = graph_of(model), Counting()
    kept = None if folder is None else DiskCache(folder)
    context = Context(runner, graph.copy(), Calibration.from_arrays(feeds(model, 0, 32)), seed, cache=kept)
    pipeline = f"select-channels{select},allocate{{target={target}}},remove-channels"
    PassManager.parse(pipeline).run(graph, context)
    return graph.to_model().SerializeToString(deterministic=True), runner.sessions


@pytest.mark.parametrize("name", ["vgg_gap", "mlp"])
def test_a_second_run_gives_the_same_without_statistics(name: str, tmp_path: Path) -> None:
    plain, _ = run(name, "macs=0.6x", None)
    first, many = run(name, "macs=0.6x", tmp_path)
    second, few = run(name, "macs=0.6x", tmp_path)
    assert plain == first == second
    assert few == 2 < many  # the two of the proof of the removal
    other, again = run(name, "macs=0.8x", tmp_path)
    assert again == 2 and other != first
    assert other == run(name, "macs=0.8x", None)[0]


def test_other_options_and_seeds_do_not_start_from_it(tmp_path: Path) -> None:
    name = "vgg_gap"
    _, many = run(name, "macs=0.6x", tmp_path)
    assert run(name, "macs=0.6x", tmp_path, seed=1)[1] == many
    assert run(name, "macs=0.6x", tmp_path, select="{criterion=activation}")[1] == many
    assert run(name, "macs=0.6x", tmp_path, select="{rows=50}")[1] == many


def test_with_the_curves_gone_only_what_is_needed_is_computed(tmp_path: Path) -> None:
    wanted, many = run("vgg_gap", "macs=0.6x", tmp_path)
    (ranking,) = tmp_path.glob("ranking-*")
    content = bytearray(ranking.read_bytes())
    content[-1] ^= 1
    ranking.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        found, sessions = run("vgg_gap", "macs=0.6x", tmp_path)
    assert found == wanted and 2 < sessions < many
