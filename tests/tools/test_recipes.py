"""A compression is a pipeline: what is asked for stands in its text, and running the text gives the same bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimise_onnx.ir.errors import UsageError
from optimise_onnx.passes.base import Pass
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.pipelines import known_passes
from optimise_onnx.passes.syntax import join, parse
from optimise_onnx.tools.recipes import pipeline
from optimise_onnx.tools.settings import Settings

from .conftest import Run

EXACT = ["fold-constants", "fold-batch-norm", "fold-padding", "remove-dead-channels", "merge-duplicate-channels"]


def steps(target: str, **options: Any) -> dict[str, Pass]:
    """The passes that a compression runs, by name in order, those that others run in the place of these."""
    found = []
    for step in parse(pipeline(Settings.parse(target, **options)), known_passes()):
        inner = getattr(step, "nested", None)
        found += [step, *parse(inner, known_passes())] if inner else [step]
    return {step.name: step for step in found}


def test_by_default_exact_passes_then_channels() -> None:
    assert list(steps("macs=0.5x")) == [
        *EXACT, "meet-target", "select-channels", "allocate", "remove-channels", "narrow-norms", "reconstruct",
        "refit-scales",
    ]  # fmt: skip
    assert "narrow-norms" not in steps("macs=0.5x", exact_norms=True)


def test_only_what_is_asked_for_joins_in() -> None:
    whole = steps("latency=0.5x", sampler=True, forms=["stretch", "low-rank"], strict=True)
    assert list(whole)[len(EXACT) :] == [
        "require-rules", "meet-target", "sample-inputs", "select-channels", "offer-forms", "allocate",
        "remove-channels", "decompose", "narrow-norms", "reconstruct", "drop-samplers", "refit-scales",
    ]  # fmt: skip
    assert vars(whole["offer-forms"])["forms"] == ("stretch", "low-rank")
    assert vars(whole["decompose"])["only_faster"] is True


def test_options_reach_the_passes_that_have_them() -> None:
    asked = {"allocation": "uniform", "align": 8, "max_ratio": 0.9, "allow_partial": True}
    found = steps(
        "macs=0.5x", criterion="obs", keep_nodes=[r"conv\d{1,2}", "a,b"], keep_types=["Gemm", "MatMul"], guard=False,
        forms=["all"], **asked,
    )  # fmt: skip
    assert asked.items() <= vars(found["allocate"]).items() and vars(found["allocate"])["target"] == "macs=0.5x"
    for name in ("select-channels", "offer-forms"):
        held = vars(found[name])
        assert (held["keep_nodes"], held["keep_types"]) == (r"(?:conv\d{1,2})|(?:a,b)", "Gemm|MatMul")
    assert vars(found["select-channels"])["criterion"] == "obs" and vars(found["meet-target"])["guard"] is False


def test_group_fisher_goes_in_steps_by_score_and_may_take_whole_groups() -> None:
    found = steps("activations=0.5x", recipe="group-fisher", per="macs", granularity="group")
    assert vars(found["meet-target"])["step"] == 0.05 and vars(found["select-channels"])["criterion"] == "fisher"
    assert (vars(found["allocate"])["allocation"], vars(found["allocate"])["per"]) == ("greedy", "macs")
    assert list(found).index("bind-groups") < list(found).index("meet-target") < list(found).index("free-groups")
    with pytest.raises(UsageError, match="granularity='layer' is unknown"):
        Settings.parse("macs=0.5x", granularity="layer")


@pytest.mark.parametrize("options", [{}, {"recipe": "ucp"}, {"recipe": "nsga2"}, {"allocation": "uniform"}])
def test_scores_are_divided_where_allocation_is_greedy(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="per says what greedy allocation divides scores by"):
        Settings.parse("macs=0.5x", per="macs", **options)


@pytest.mark.parametrize("options", [{}, {"keep_nodes": ['"a{1,2};', "none"], "sampler": True, "forms": ["all"]}])
def test_the_text_parses_and_prints_back(options: dict[str, Any]) -> None:
    written = pipeline(Settings.parse("macs=0.5x", **options))
    assert join(parse(written, known_passes())) == written == str(PassManager.parse(written))


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(UsageError, match="no recipe 'least'.*one of afcp, .*least-squares"):
        pipeline(Settings.parse("macs=0.5x", recipe="least"))


def test_a_recipe_may_tune_unless_it_is_told_not_to() -> None:
    whole = steps("macs=0.5x", recipe="hu2018", tune_budget="9steps")
    assert {"require-gradients", "tune"} <= whole.keys() and vars(whole["tune"])["budget"] == "9steps"
    assert vars(whole["select-channels"])["criterion"] == "genetic"
    assert vars(steps("macs=0.5x", recipe="hu2018", tune="scales")["tune"])["weights"] == "scales"
    for other in ({"recipe": "hu2018", "tune": "none"}, {"recipe": "ucp"}):
        assert not {"require-gradients", "tune"} & steps("macs=0.5x", **other).keys()
    for wrong in ({}, {"recipe": "ucp"}, {"recipe": "hu2018", "tune": "none"}):
        with pytest.raises(UsageError, match="say how weights are tuned"):
            Settings.parse("macs=0.5x", tune_budget="9steps", **wrong)


DATA = ("--data", "data.npz")
CASES: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("--target", "macs=0.6x", "--align", "1"), DATA),
    (("--target", "params=0.6x", "--keep", "conv_1", "--max-ratio", "0.8", "--align", "4"), ()),
    (("--target", "macs=0.6x", "--forms", "stretch", "--align", "1", "--sampler"), DATA),
    (("--target", "macs=0.6x", "--allocation", "bisect", "--align", "1"), DATA),
    (("--target", "activations=0.7x", "--recipe", "group-fisher", "--step", "0.2", "--align", "1"), DATA),
    (("--target", "hls-latency=0.7x", "--align", "1"), DATA),
    (("--target", "latency=0.6x", "--latency-command", "DEVICE", "--no-provenance"), DATA),  # it counts bytes
]


@pytest.mark.parametrize(("wishes", "data"), CASES)
def test_the_printed_pipeline_gives_the_same_bytes(
    folder: Path, run: Callable[..., Run], device: str, wishes: tuple[str, ...], data: tuple[str, ...]
) -> None:
    wishes = tuple(device if word == "DEVICE" else word for word in wishes)
    labels = ("--labels", "label") if data else ()
    assert run("compress", "in.onnx", "-o", "out.onnx", *wishes, *data, *labels).code == 0
    text = run("compress", "in.onnx", *wishes, "--print-pipeline").out.strip()
    asked = wishes[2:] if "--latency-command" in wishes else ()
    only = _inputs(folder) if data else ()
    found = run("run", "in.onnx", "-o", "again.onnx", "--passes", text, *only, *asked)
    assert (found.code, found.err) == (0, "")
    assert (folder / "again.onnx").read_bytes() == (folder / "out.onnx").read_bytes()


def _inputs(folder: Path) -> tuple[str, ...]:
    """The data without the labels, which are no input."""
    with np.load(folder / "data.npz") as stored:
        np.savez(folder / "x.npz", **{name: stored[name] for name in stored.files if name != "label"})
    return ("--data", "x.npz")
