"""Each command does what it says, and its options reach what they steer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from optimise_onnx.tools import cli

from .conftest import Run, network

COMPRESS = ("compress", "in.onnx", "-o", "out.onnx", "--target", "macs=0.6x")


def test_compress_with_data(folder: Path, run: Callable[..., Run]) -> None:
    found = run(*COMPRESS, "--data", "data.npz", "--samples", "16", "--labels", "label", "--report", "r.json")
    assert (found.code, found.err) == (0, "")
    assert "agreement measured on 8 samples that no pass has seen" in found.out
    assert "accuracy" in found.out and "data-free" not in found.out
    report = json.loads((folder / "r.json").read_text())
    assert 0.5 * report["before"]["macs"] <= report["after"]["macs"] <= 0.6 * report["before"]["macs"]
    assert (report["calibration_samples"], report["data_free"], report["target"]) == (16, False, "macs=0.6x")
    assert report["metric"].keys() == {"accuracy"}
    assert [step["name"] for step in report["passes"]][-3:] == ["reconstruct", "refit-scales", "meet-target"]
    assert all(pin["why"] for pin in report["pins"])
    assert sorted(path.name for path in folder.iterdir()) == ["data.npz", "in.onnx", "out.onnx", "r.json"]
    onnx.checker.check_model(onnx.load(folder / "out.onnx"))


def test_compress_without_data_says_so(folder: Path, run: Callable[..., Run]) -> None:
    found = run(*COMPRESS, "--no-colour", "-v")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("data-free mode")
    assert "random inputs" in found.out and "select-channels: " in found.out


def test_the_same_seed_gives_the_same_bytes(folder: Path, run: Callable[..., Run]) -> None:
    made = []
    for _ in range(2):
        assert run(*COMPRESS, "--data", "data.npz", "--labels", "label", "--seed", "3").code == 0
        made.append((folder / "out.onnx").read_bytes())
    assert made[0] == made[1]


def test_a_dry_run_writes_nothing(folder: Path, run: Callable[..., Run]) -> None:
    found = run(*COMPRESS[:2], *COMPRESS[4:], "--dry-run")
    assert found.code == 0 and "nothing was written" in found.out
    assert not (folder / "out.onnx").exists()
    assert "no output is given" in run(*COMPRESS[:2], *COMPRESS[4:]).error


def test_a_dry_run_checks_where_reports_go(run: Callable[..., Run]) -> None:
    found = run("compress", "in.onnx", "--target", "macs=0.6x", "--dry-run", "--report", "r.txt")
    assert found.code == 2 and "r.txt" in found.error


def test_quiet_prints_nothing(run: Callable[..., Run]) -> None:
    assert run(*COMPRESS, "-q") == Run(0, "", "")


def widths(path: Path) -> dict[str, int]:
    """Output channels of every Conv, by node name."""
    model = onnx.load(path)
    dims = {t.name: t.dims[0] for t in model.graph.initializer if t.dims}
    return {node.name: dims[node.input[1]] for node in model.graph.node if node.op_type == "Conv"}


def test_keep_leaves_a_layer_whole_even_when_its_own_node_is_folded(folder: Path, run: Callable[..., Run]) -> None:
    before = widths(folder / "in.onnx")
    name = list(before)[1]
    assert run(*COMPRESS).code == 0
    assert widths(folder / "out.onnx")[name] < before[name]
    assert run(*COMPRESS, "--keep", f"^{name}$").code == 0
    assert widths(folder / "out.onnx")[name] == before[name]
    norms = [node.name for node in onnx.load(folder / "in.onnx").graph.node if node.op_type == "BatchNormalization"]
    assert run(*COMPRESS, "--keep", f"^{norms[1]}$").code == 0
    assert widths(folder / "out.onnx")[name] == before[name]


@pytest.mark.parametrize("op", ["Conv", "BatchNormalization"])
def test_keep_type_that_leaves_nothing_to_remove_misses_the_target(op: str, run: Callable[..., Run]) -> None:
    found = run(*COMPRESS, "--keep-type", op)
    assert (found.code, found.out) == (4, "")
    assert "cannot be reached" in found.error


def test_align_and_max_ratio_bound_the_widths(folder: Path, run: Callable[..., Run]) -> None:
    before = widths(folder / "in.onnx")
    assert run(*COMPRESS, "--align", "4", "--max-ratio", "0.5").code == 0
    for name, width in widths(folder / "out.onnx").items():
        assert width % 4 == 0 and width >= before[name] / 2


@pytest.mark.parametrize("labels", [np.arange(24) % 10 + 1, np.arange(24) % 10 - 1, np.full(24, 0.5)])
def test_labels_that_are_no_class_numbers_are_refused_before_any_work(
    labels: Any, folder: Path, run: Callable[..., Run]
) -> None:
    with np.load(folder / "data.npz") as data:
        np.savez(folder / "wrong.npz", x=data["x"], label=labels)
    found = run(*COMPRESS, "--data", "wrong.npz", "--samples", "8", "--labels", "label")
    assert found.code == 2 and "labels 'label' are no class numbers" in found.error
    assert "and the output has 10 classes; classes are numbered from 0" in found.error.replace(" (", "; ")


def test_a_metric_of_the_users_own(folder: Path, run: Callable[..., Run]) -> None:
    (folder / "m.py").write_text("def top5(outputs, batch):\n    return len(batch['label']) / 2\n")
    found = run(*COMPRESS, "--data", "data.npz", "--labels", "label", "--metric", "m.py:top5")
    assert found.code == 0 and "top5" in found.out


def test_analyse_lists_groups_pins_and_costs(folder: Path, run: Callable[..., Run]) -> None:
    found = run("analyse", "in.onnx", "--json", "a.json")
    assert (found.code, found.err) == (0, "")
    written = json.loads((folder / "a.json").read_text())
    assert written["groups"] and written["layers"] and written["total"]["macs"] > 0
    assert all(pin["why"] and pin["tensors"] for pin in written["pins"])
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "data.npz", "in.onnx"]


def test_analyse_says_why_channels_are_coupled(folder: Path, run: Callable[..., Run]) -> None:
    found = run("analyse", "in.onnx", "--why", "conv_1", "--json", "why.json")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("'conv_1_out' comes from Conv 'conv_1'\naxis 1, channels 0 to 11: free")
    written = json.loads((folder / "why.json").read_text())
    assert written["tensor"] == "conv_1_out" and written["parts"][0]["readers"][0]["node"] == "conv_2"
    assert "pinned" in run("analyse", "in.onnx", "--why", "gemm_0").out
    wrong = run("analyse", "in.onnx", "--why", "conv_1_outt")
    assert (wrong.code, wrong.out) == (2, "") and "did you mean 'conv_1_out'" in wrong.error


def test_verify_takes_data_of_its_inputs(run: Callable[..., Run]) -> None:
    assert run("verify", "in.onnx", "in.onnx").code == 0
    found = run("verify", "in.onnx", "in.onnx", "--data", "data.npz")
    assert found.code == 3 and "'label' that is no input" in found.error


def test_run_takes_a_pipeline(folder: Path, run: Callable[..., Run]) -> None:
    written = "fold-constants,fold-batch-norm,select-channels{criterion=magnitude,keep=0.5},remove-channels"
    options = ("--dump-after", "dumps", "--time-passes", "--print-after", "-v")
    found = run("run", "in.onnx", "-o", "out.onnx", "--passes", written, *options)
    assert (found.code, found.err) == (0, "")
    assert "oracle" in found.out and "graph(" in found.out and "seconds" in found.out
    assert len(list((folder / "dumps").iterdir())) == 4
    assert sum(widths(folder / "out.onnx").values()) <= 0.55 * sum(widths(folder / "in.onnx").values())
    assert "oracle" not in run("run", "in.onnx", "-o", "out.onnx", "--passes", written, "--no-verify-each", "-v").out
    found = run("run", "in.onnx", "-o", "out.onnx", "--passes", "remove-chanels")
    assert found.code == 2 and "did you mean 'remove-channels'" in found.error


def test_passes_lists_every_pass_with_its_options(run: Callable[..., Run]) -> None:
    found = run("passes")
    assert found.code == 0
    assert "select-channels: " in found.out and "    criterion=obs  (str)" in found.out


def test_demo_halves_the_macs_and_still_reads_digits(folder: Path, run: Callable[..., Run]) -> None:
    assert run("demo", "--json", "figures.json").code == 0
    assert (folder / "figures.json").read_bytes() == (folder / "optimise-onnx-demo/report.json").read_bytes()
    report = json.loads((folder / "optimise-onnx-demo/report.json").read_text())
    assert report["after"]["macs"] <= 0.5 * report["before"]["macs"]
    accuracy = report["metric"]["accuracy"]
    assert accuracy["before"] > 0.98 and accuracy["after"] > accuracy["before"] - 0.02
    onnx.checker.check_model(onnx.load(folder / "optimise-onnx-demo/digits.onnx"))


def test_no_command_shows_help(run: Callable[..., Run]) -> None:
    assert "compress" in run().out
    assert run("compress", "--help").code == 0
    assert run("no-such-command").code == 2


def test_our_own_mistakes_exit_with_1_and_a_traceback_only_when_asked(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("oh\nno")

    monkeypatch.setattr("optimise_onnx.tools.api.compress_with", broken)
    found = run(*COMPRESS)
    assert found.code == 1 and found.error == "internal error: RuntimeError: oh no; please report it, with -vv"
    assert "Traceback" in run(*COMPRESS, "-vv").err


def test_an_interrupt_exits_with_130(run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("optimise_onnx.tools.api.compress_with", interrupted)
    assert run(*COMPRESS).code == cli.INTERRUPTED == 130


def test_an_interface_of_fixed_batch_is_served(folder: Path, run: Callable[..., Run]) -> None:
    onnx.save(network(batch=4), folder / "in.onnx")
    found = run(*COMPRESS, "--data", "data.npz", "--labels", "label", "--samples", "10")
    assert (found.code, found.err) == (0, "")
    assert "16 samples that no pass has seen" in found.out
    assert onnx.load(folder / "out.onnx").graph.input[0].type.tensor_type.shape.dim[0].dim_value == 4
