"""Boards of a Dask cluster: several models are timed at once, never two on one board, with the same result."""

import json
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from zoo import feeds

import optimise_onnx

from .conftest import network

TIMED = """
import json, os, sys, time
from pathlib import Path
begun = time.time()
time.sleep(0.2)
model = Path(sys.argv[1]).read_bytes()
log = Path(sys.argv[2]) / f"{os.getpid()}.json"
log.write_text(json.dumps([os.getppid(), begun, time.time()]))
print(len(model) / 1000)
"""


def compressed(command: str, **more: Any) -> bytes:
    """Compress the small network to 0.7 of what the command says."""
    data = {"x": feeds(network(), 0, 24)["x"]}
    found = optimise_onnx.compress(
        network(), target="latency=0.7x", data=data, latency_command=command, align=1, cache=False, **more
    )
    return optimise_onnx.load(found.model).to_model().SerializeToString(deterministic=True)


def test_models_are_timed_on_all_boards_at_once_and_never_two_on_one(tmp_path: Path, clusters: Any) -> None:
    (tmp_path / "time.py").write_text(TIMED)
    for name in ("alone", "boards"):
        (tmp_path / name).mkdir()
    command = f"{sys.executable} {tmp_path / 'time.py'} {{model}} {tmp_path}"
    alone = compressed(f"{command}/alone")
    with clusters.cluster(3, tmp_path / "dask", boards=2) as cluster:
        with import_module("distributed").Client(cluster.address, set_as_default=False) as client:
            client.wait_for_workers(3, timeout=60)
        assert compressed(f"{command}/boards", scheduler=cluster.address) == alone
        having = {worker.pid for worker in cluster.workers[:2]}
    runs = [json.loads(path.read_text()) for path in (tmp_path / "boards").glob("*.json")]
    assert {board for board, _, _ in runs} == having
    for asked in having:
        spans = sorted((begun, ended) for board, begun, ended in runs if board == asked)
        assert all(ended <= begun for (_, ended), (begun, _) in pairwise(spans))
    spans = sorted((begun, ended) for _, begun, ended in runs)
    assert any(ended > begun for (_, ended), (begun, _) in pairwise(spans))
