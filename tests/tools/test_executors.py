"""Targets carried out here, by processes and on a Dask cluster: the same bytes, whoever is lost on the way."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_info, threadpool_limits
from zoo import feeds

import optimise_onnx
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.workers import IN_PROCESS
from optimise_onnx.tools.front import Front
from optimise_onnx.tools.settings import Settings
from optimise_onnx.tools.working import carriers, working

from .conftest import network

TARGETS = ["macs=0.6x", "macs=0.01x", "macs=0.5x", "macs=0.4x"]
FIXED = {"align": 1, "guard": False}  # nothing that time decides

pytestmark = pytest.mark.usefixtures("folder")


def swept(cache: Path, targets: Sequence[str] = TARGETS, **more: Any) -> Front:
    """Sweep the small network."""
    data = {"x": feeds(network(), 0, 24)["x"]}
    return optimise_onnx.sweep(network(), targets=targets, data=data, **FIXED, cache_folder=str(cache), **more)


def models(front: Front) -> list[bytes | None]:
    """The model of each point."""
    return [None if p.graph is None else p.graph.to_model().SerializeToString(deterministic=True) for p in front.points]


def test_processes_give_the_same_bytes(tmp_path: Path) -> None:
    threads = set[int]()

    def progress(_text: str, _share: float) -> None:
        threads.update(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")

    with threadpool_limits(2, user_api="blas"):
        alone = models(swept(tmp_path / "alone", TARGETS[:2], progress=progress))
    assert threads == {1, 2}  # the latter where outputs are compared, the former where sums are taken
    assert alone[0] is not None and alone[1] is None
    assert models(swept(tmp_path / "jobs", TARGETS[:2], jobs=2)) == alone
    again = swept(tmp_path / "jobs", TARGETS[:2])
    assert models(again) == alone and [point.kept for point in again.points] == [True, False]  # a miss is not kept


def test_a_dask_cluster_gives_the_same_bytes_though_a_worker_is_killed(tmp_path: Path, clusters: Any) -> None:
    alone = models(swept(tmp_path / "alone"))
    with clusters.cluster(2, tmp_path / "dask") as cluster:

        def progress(text: str, _share: float) -> None:
            if text == "carrying out targets":
                cluster.workers[0].kill()  # the first one is done, another is at work

        assert models(swept(tmp_path / "cache", scheduler=cluster.address, progress=progress)) == alone
        assert cluster.workers[0].poll() is not None


def test_no_two_targets_are_timed_at_once(device: str) -> None:
    settings = Settings.parse("macs=0.5x", jobs=2)
    with working(settings) as workers:
        assert carriers(settings, workers) is workers is not IN_PROCESS
        for target, more in (("latency=0.5x", {}), ("macs=0.5x", {"latency_command": device})):
            assert carriers(Settings.parse(target, jobs=2, **more), workers) is IN_PROCESS


def test_a_scheduler_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="give one of them"):
        Settings.parse("macs=0.5x", jobs=2, scheduler="tcp://localhost:1")
    monkeypatch.setitem(sys.modules, "distributed", None)
    settings = Settings.parse("macs=0.5x", scheduler="tcp://localhost:1")
    with pytest.raises(UsageError, match="Dask, which is not installed"), working(settings):
        pass
