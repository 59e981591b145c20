"""The same from Python, and an import that stays quick."""

import subprocess
import sys
from typing import Any

import numpy as np
import onnx
import pytest
from zoo import feeds
from zoo.builder import Builder

import optimise_onnx
from optimise_onnx import Calibration, PassManager, Target, analyse, compress, load
from optimise_onnx.ir.errors import TargetNotMetError, UsageError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.tools.api import run_pipeline

from .conftest import network


def test_every_public_name_is_there() -> None:
    for name in optimise_onnx.__all__:
        assert getattr(optimise_onnx, name) is not None
    assert set(optimise_onnx.__all__) <= set(dir(optimise_onnx))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = optimise_onnx.nothing


@pytest.mark.parametrize("module", ["optimise_onnx", "optimise_onnx.tools.cli"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    heavy = "{'numpy', 'onnx', 'onnxruntime', 'onnx_graphsurgeon', 'scipy', 'networkx'}"
    code = f"import sys, {module}; print(*sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("form", ["proto", "bytes", "graph"])
def test_compress_takes_a_model_in_any_form(form: str) -> None:
    model = network()
    source = {"proto": model, "bytes": model.SerializeToString(), "graph": load(model)}[form]
    result = compress(source, target="params=0.6x")
    assert result.report.after.parameters <= 0.6 * result.report.before.parameters
    names = [record.name for record in result.records]
    assert result.report.calibration == 0 and names[-3:] == ["reconstruct", "refit-scales", "meet-target"]
    onnx.checker.check_model(result.model)
    if isinstance(source, Graph):
        assert source.to_model() == load(model).to_model()


def test_compress_calibrates_with_arrays() -> None:
    arrays = feeds(network(), 0, 32)
    data = Calibration.from_arrays(arrays)
    shares: list[float] = []
    result = compress(
        network(), target=Target.parse("macs=0.6x"), data=data, progress=lambda _text, share: shares.append(share)
    )
    assert (
        result.report.calibration == 26 and result.report.fidelity.samples.origin == "6 samples that no pass has seen"
    )
    assert shares and all(0 <= share <= 1 for share in shares)
    again = compress(network(), target="macs=0.6x", data=[arrays])
    assert again.model.SerializeToString(deterministic=True) == result.model.SerializeToString(deterministic=True)


@pytest.mark.parametrize("jobs", [1, 2])
def test_samples_beyond_those_to_fit_are_tuned_on_alone(jobs: int) -> None:
    one, other = feeds(network(), 0, 64), feeds(network(), 1, 64)
    (name,) = one
    # of 64 samples 51 are used, of which the last 12 judge
    mixed = {name: np.concatenate([one[name][:16], other[name][16:32], one[name][32:]])}

    def made(arrays: dict[str, Any], **options: Any) -> bytes:
        found = compress(network(), target="macs=0.6x", data=arrays, jobs=jobs, **options)
        return bytes(found.model.SerializeToString(deterministic=True))

    assert made(one, fit_samples=16) == made(mixed, fit_samples=16)
    assert made(one) != made(mixed)
    tuned = {"tune": "full", "tune_budget": "4steps", "fit_samples": 16}
    assert made(one, **tuned) != made(mixed, **tuned)


@pytest.mark.parametrize("name", ["samples", "fit_samples"])
def test_fewer_samples_than_the_model_takes_at_a_time_are_refused(name: str) -> None:
    b = Builder("fixed")
    model = b.model(b.head(b.conv_relu(b.input("x", [8, 3, 8, 8]), 12), 5))
    with pytest.raises(UsageError, match=f"{name}=3 is too few.*takes 8 at a time"):
        compress(model, target="macs=0.6x", data=feeds(model, 0, 80), **{name: 3})


def test_samples_to_fit_need_samples() -> None:
    for needy in (
        lambda: compress(network(), target="macs=0.6x", fit_samples=8),
        lambda: run_pipeline(network(), PassManager.parse("fold-constants"), fit_samples=8),
    ):
        with pytest.raises(UsageError, match="fit_samples .* need data"):
            needy()


def test_a_target_that_is_met_already_changes_nothing_lossy() -> None:
    result = compress(network(), target="macs=1x")
    assert "select-channels" not in {record.name for record in result.records}
    assert result.report.fidelity.outputs.popitem()[1].error < 1e-5


def test_an_unreachable_target_says_what_can_be_reached() -> None:
    with pytest.raises(TargetNotMetError, match="params=20 cannot be reached.* are left"):
        compress(network(), target="params=20")


WRONG = (
    {"align": -1},
    {"max_ratio": -0.1},
    {"keep_nodes": ["nowhere"]},
    {"keep_nodes": ["conv", "nowhere"]},
    {"keep_types": ["Conv", "Nothing"]},
    {"criterion": "none such"},
)


@pytest.mark.parametrize("options", WRONG)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        compress(network(), target="macs=0.5x", **options)


def test_analyse_counts_and_explains() -> None:
    found = analyse(network())
    assert [group.width for group in found.channels.groups] == [8, 12, 16]
    assert [line.pin.op for line in found.pins] == ["Gemm"]
    assert str(found.why("conv_0")).startswith("'conv_0_out' comes from Conv 'conv_0'")
    written = found.to_json()
    assert written["total"]["macs"] == 64 * 9 * (3 * 8 + 8 * 12 + 12 * 16) + 16 * 10


def test_a_pipeline_from_text() -> None:
    assert [step.name for step in PassManager.parse("fold-constants,fold-batch-norm").passes] == [
        "fold-constants",
        "fold-batch-norm",
    ]
