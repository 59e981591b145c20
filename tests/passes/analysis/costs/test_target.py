"""Targets: every spelling means what it says, nonsense is refused, and printing parses back."""

import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.ir.errors import UsageError
from optimise_onnx.passes.analysis.costs.target import Target

BEFORE = {"macs": 1000, "params": 200, "bytes": 800, "peak-memory": 600}


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("macs=0.5x", 500),
        ("macs=.25x", 250),
        ("macs=1x", 1000),
        ("params=60%", 120),
        ("PARAMS = 60 %", 120),
        ("macs=120M", 120e6),
        ("macs=1.5G", 1.5e9),
        ("macs=300", 300),
        ("params=3k", 3e3),
        ("bytes=4MB", 4e6),
        ("bytes=4MiB", 4 * 2**20),
        ("bytes=0.25x", 200),
        ("bytes=700", 700),
        ("peak-memory=25%", 150),
        ("peak-memory=64KiB", 2**16),
    ],
)
def test_a_target_gives_its_budget(text: str, budget: float) -> None:
    target = Target.parse(text)
    assert target.budget(BEFORE[target.quantity.name]) == pytest.approx(budget)
    assert Target.parse(str(target)) == target


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot read"),
        ("0.5x", "cannot read"),
        ("macs", "cannot read"),
        ("macs=", "cannot read"),
        ("macs=-1M", "cannot read"),
        ("macs=half", "cannot read"),
        ("macs=0x", "out of range"),
        ("macs=1.5x", "out of range"),
        ("params=101%", "out of range"),
        ("bytes=0", "out of range"),
        ("flops=0.5x", r"unknown kind 'flops' \(did you mean macs=0.5x\?"),
        ("size=4MB", r"did you mean bytes=4MB\?"),
        ("prams=60%", r"did you mean params=60%\?"),
        ("qqq=60%", "unknown kind 'qqq' .write .*macs=0.5x"),
        ("macs=0.5", r"no unit \(did you mean macs=0.5x\?"),
        ("latency=.4", r"no unit \(did you mean latency=0.4x\?"),
        ("macs=4MB", "unknown unit 'MB'"),
        ("bytes=4T", "unknown unit 'T'"),
        ("latency=3", "no unit"),
        ("latency=3M", "unknown unit 'M'"),
        ("latency=1.2x", "out of range"),
    ],
)
def test_nonsense_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Target.parse(text)


def test_latency_is_a_share_or_a_time() -> None:
    half, three = Target.parse("latency=50%"), Target.parse("LATENCY = 3 ms")
    assert (half.budget(0.02), three.budget(0.02)) == (0.01, 0.003)
    assert (str(half), str(three)) == ("latency=0.5x", "latency=3ms")
    assert Target.parse(str(three)) == three
    assert half.meter is None


def test_hardware_is_a_share_or_a_count() -> None:
    cycles, share = Target.parse("hls-latency=20k"), Target.parse("hls-multipliers=50%")
    assert (cycles.budget(1e6), share.budget(200)) == (20_000, 100)
    assert (str(cycles), str(share)) == ("hls-latency=20000", "hls-multipliers=0.5x")
    assert cycles.meter is None and share.meter is None


def test_shares_are_of_what_counts() -> None:
    b = Builder("whole")
    given = graph_of(b.model(b.head(b.conv_relu(b.input("x", [1, 3, 8, 8]), 4))))
    folded = given.copy()
    for name in ("params", "bytes", "latency"):  # what a file holds, and the time that it takes
        assert Target.parse(f"{name}=0.5x").whole(given, folded) is given
    for name in ("macs", "peak-memory", "hls-latency"):
        assert Target.parse(f"{name}=0.5x").whole(given, folded) is folded
    assert Target.parse("latency=0.5x").whole(None, folded) is folded
