"""A sweep that is killed goes on: the same bytes, and what was finished is not done again."""

import signal
from pathlib import Path

import numpy as np
import onnx
from zoo import feeds
from zoo.builder import Builder

import optimise_onnx

from .commands import Place, waits_until_one

TARGETS = ["macs=0.8x", "macs=0.6x"]
SWEEP = (
    "sweep",
    "in.onnx",
    "--targets",
    "0.8x,0.6x",
    "--data",
    "data.npz",
    "--align",
    "1",
    "--no-guard",
    "-o",
    "front",
)
UNTIMED = ("--latency-command", "sh -c 'echo 1' {model}")


def test_a_sweep_that_was_killed_goes_on(tmp_path: Path) -> None:
    place = Place.at(tmp_path)
    b = Builder("resumed")
    model = b.model(b.head(b.conv_bn_relu(b.conv_bn_relu(b.input("x", ["N", 3, 8, 8]), 8), 12)))
    onnx.save(model, place.work / "in.onnx")
    samples = {"x": feeds(model, 0, 24)["x"]}
    np.savez(place.work / "data.npz", x=samples["x"])
    with place.started(*SWEEP, *UNTIMED) as process:
        waits_until_one(place.cache, "target-*.entry")
        process.send_signal(signal.SIGKILL)
    code, out, err = place.run(*SWEEP, *UNTIMED)
    assert (code, err) == (0, "")
    assert "carried out by an earlier run and kept in the cache: macs=0.8x" in out
    source = place.work / "in.onnx"
    whole = optimise_onnx.sweep(source, targets=TARGETS, data=samples, align=1, guard=False, cache=False)
    for point, share in zip(whole.points, ("0.80", "0.60"), strict=True):
        written = (place.work / "front" / f"in-macs-{share}x.onnx").read_bytes()
        assert point.graph is not None and written == point.graph.to_model().SerializeToString(deterministic=True)
