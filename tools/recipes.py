"""Recipes: pipelines by name, each a published procedure as far as it goes without training, and our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ..ir.errors import UsageError
from ..passes.allocate.allocate import Allocate
from ..passes.base import Pass
from ..passes.pipelines import EXACT, FIRST, known_passes
from ..passes.reconstruct.tune import FULL, NONE
from ..passes.search.meet_target import MeetTarget
from ..passes.select.bind_groups import GROUP
from ..passes.syntax import join, parse
from .settings import Settings

DEFAULT = "least-squares"
_ROUND = "refit-scales"
_REMOVE = "remove-channels,narrow-norms"
_STANDS_IN = "The paper trains in the end; reconstruct stands in for that, and --tune."


@dataclass(frozen=True)
class Recipe:
    """``before`` the target is aimed at, passes that ``propose`` what goes, and those that ``finish`` it. Tuning ends
    every one, where it is asked for, or where nothing is asked and the recipe does ``tune``.

    ``step`` is how much of the original goes before channels are chosen anew, 0 for all at once. ``paper`` is where the
    procedure comes from, and ``differs`` what is ours, and why; ``only_asked``: samplers and
    forms are left out unless a user asks for them.
    """

    paper: str
    propose: str
    finish: str
    differs: str
    before: str = ""
    tune: str = NONE
    step: float = 0.0
    only_asked: bool = False

    @property
    def pipeline(self) -> str:
        """All of it as one pipeline."""
        first = f"{FIRST},{EXACT},{self.before}" if self.before else f"{FIRST},{EXACT}"
        aimed = join([MeetTarget(self.propose, f"{self.finish},{_ROUND}", step=self.step)])
        return f"{first},require-rules,require-gradients,bind-groups,{aimed},tune,free-groups"


RECIPES: Mapping[str, Recipe] = {
    DEFAULT: Recipe(
        paper="ours; the parts are in docs/methods.md",
        propose="sample-inputs,select-channels,offer-forms,allocate",
        finish="remove-channels,decompose,narrow-norms,reconstruct,drop-samplers",
        differs="What compress does where no recipe is named. Samplers and forms are left out unless asked for.",
        only_asked=True,
    ),
    "afcp": Recipe(
        paper="Huang, Chen, Li, Claesen et al., AFCP, IEEE TCAD 2022, doi 10.1109/TCAD.2021.3093835",
        propose="sample-inputs,select-channels{criterion=zero-or-similar},allocate{allocation=gates}",
        finish=f"{_REMOVE},fold-channels{{into=partner}},reconstruct,drop-samplers",
        differs="Gates start from the choice that measured errors lead to, are trained without labels, and no branch "
        "writes to a part of the stream; without calibration data zero-out or similar is decided in closed form. "
        f"Give a target of latency for the hardware predictor. {_STANDS_IN}",
    ),
    "anwar2017": Recipe(
        paper="Anwar, Hwang, Sung, Structured pruning of deep CNNs, ACM JETC 13(3) 2017, arXiv 1512.08571",
        propose="select-channels{criterion=particle},offer-forms{forms=grouped-particle;strided-particle},allocate",
        finish="remove-channels,decompose{forms=grouped-particle;strided-particle},narrow-norms,reconstruct",
        differs="Feature maps, kernels and strided taps compete in one allocation by measured error, where the "
        "paper goes from coarse to fine. Particles are weighed by the error of the layers behind, and of feature maps "
        f"those that are left at last by the whole network's, without labels. {_STANDS_IN}",
    ),
    "cacp": Recipe(
        paper="Liu, Guo, Guo, Chen, Chen, Conditional automated channel pruning, arXiv 2009.09724",
        propose="select-channels{criterion=magnitude-l1},allocate{allocation=policy}",
        finish=f"{_REMOVE},reconstruct{{rounds=0}}",
        differs="The policy is trained on the error curves of groups instead of on accuracies, by an evolution "
        "strategy instead of DDPG; groups of coupled channels go as one, the residual stream too.",
    ),
    "cap": Recipe(
        paper="Xie, Fu, Tian, Zhou, Chen, CaP, arXiv 2108.13728",
        propose="select-channels{criterion=compensation},allocate{allocation=bisect}",
        finish=f"{_REMOVE},reconstruct{{rounds=0}}",
        differs="The search is judged by divergence from the original instead of accuracy, groups of coupled "
        "channels go as one, and compensation sees the inputs of the pruned network; rows are not rescaled to their "
        "old variance.",
    ),
    "chapr": Recipe(
        paper="Zhang, Davoodi, Hu, CHaPR, COINS 2020, arXiv 1908.03266",
        propose="sample-inputs,select-channels{criterion=pivoted-qr},allocate{allocation=uniform}",
        finish=f"{_REMOVE},reconstruct{{rounds=0}},drop-samplers",
        differs="One keep ratio for all layers, for the abstract names none; pivots come from the Gram matrix of the "
        f"channels' contributions. {_STANDS_IN}",
    ),
    "decouple-stretch": Recipe(
        paper="Chen, Lin, Liu, Xia, Li, Decouple and Stretch, IPCCC 2018, doi 10.1109/PCCC.2018.8711260",
        before="decompose{forms=stretch,energy=0.999}",
        propose="select-channels,allocate",
        finish=f"{_REMOVE},reconstruct",
        differs="Ranks keep 99.9 % of the variance of each layer's output, fitted to what it reads; the full "
        f"text was not found, so how the paper splits a filter is not known. {_STANDS_IN}",
    ),
    "group-fisher": Recipe(
        paper="Liu, Zhang, Kuang et al., Group Fisher pruning, ICML 2021, arXiv 2108.00708",
        propose="select-channels{criterion=fisher},allocate{allocation=greedy}",
        finish=f"{_REMOVE},reconstruct",
        step=0.05,
        differs="Labels are drawn from the network's own output; scores are estimated anew after every twentieth of "
        "the original that has gone instead of after every unit, and layers are solved again between, where the paper "
        f"takes steps of training. {_STANDS_IN}",
    ),
    "he2017": Recipe(
        paper="He, Zhang, Sun, Channel pruning for accelerating very deep neural networks, ICCV 2017",
        propose="sample-inputs,select-channels{criterion=lasso},allocate{allocation=uniform}",
        finish=f"{_REMOVE},reconstruct{{rounds=0}},drop-samplers",
        differs="One keep ratio for all layers instead of ratios set by hand, coordinate descent on the Gram "
        "matrix instead of sampled rows, a ridge by cross-validation, and coupled channels go as one.",
    ),
    "hu2018": Recipe(
        paper="Hu, Sun, Li, Wang, Gu, A novel channel pruning method, arXiv 1805.11394",
        propose="select-channels{criterion=genetic},allocate",
        finish=f"{_REMOVE},reconstruct",
        differs="The full text was not found: operators and sizes of the genetic search, and its fitness, are ours. "
        "Each layer's amount follows from measured errors instead of by hand, all layers are cut at once instead of "
        "one after the other, and distillation comes once, without labels, unless --tune none is given.",
        tune=FULL,
    ),
    "nsga2": Recipe(
        paper="ours, by Deb, Pratap, Agarwal, Meyarivan, NSGA-II, IEEE TEC 6(2) 2002",
        propose="sample-inputs,select-channels,offer-forms,search",
        finish="remove-channels,decompose,narrow-norms,reconstruct,drop-samplers",
        differs="As least-squares, with an evolution of whole profiles behind the allocation; needs pymoo and time.",
        only_asked=True,
    ),
    "ucp": Recipe(
        paper="Chang, Lu, Xue, Wei, Wei, UCP, arXiv 2010.01251",
        propose="select-channels{criterion=gate-mean},allocate{allocation=ucp}",
        finish=f"{_REMOVE},reconstruct",
        differs="Where a network has no squeeze-and-excitation, gates are fitted to its own outputs instead of trained "
        "into it; a channel goes everywhere, where the paper's blocks choose for themselves; the ratio and the "
        f"threshold follow from the target. {_STANDS_IN}",
    ),
}


def tuned(name: str | None) -> str:
    """Say which weights a recipe tunes where nothing is asked. Raises UsageError for an unknown recipe."""
    return _called(name or DEFAULT).tune


def allocation(name: str | None) -> str:
    """Say by which method a recipe allocates, '' for one of its own. Raises UsageError for an unknown recipe."""
    steps = parse(_called(name or DEFAULT).propose, known_passes())
    return next((step.allocation for step in steps if isinstance(step, Allocate)), "")


def _called(name: str) -> Recipe:
    if name not in RECIPES:
        raise UsageError(f"there is no recipe '{name}'", hint=f"one of {', '.join(sorted(RECIPES))}")
    return RECIPES[name]


def pipeline(settings: Settings) -> str:
    """Write the pipeline that a compression runs. Raises UsageError for an unknown recipe."""
    name = settings.recipe or DEFAULT
    steps = parse(_called(name).pipeline, known_passes())
    return join(_told(steps, settings.asked(), fixed=not _called(name).only_asked))


def _told(steps: Sequence[Pass], told: Mapping[str, Any], fixed: bool) -> list[Pass]:
    """Give passes the options they have a name for; of our own recipe, leave out those that nobody asks for."""
    found = []
    for step in steps:
        if not _wanted(step.name, told, fixed):
            continue
        own = {f.name for f in fields(step)}  # type: ignore[arg-type]
        given: dict[str, Any] = {name: value for name, value in told.items() if name in own}
        for inner in own & {"propose", "finish"}:
            given[inner] = join(_told(parse(getattr(step, inner), known_passes()), told, fixed))
        found.append(replace(step, **given))  # type: ignore[type-var]
    return found


def _wanted(name: str, told: Mapping[str, Any], fixed: bool) -> bool:
    if name == "require-rules":
        return bool(told.get("strict"))
    if name == "narrow-norms":
        return not told.get("exact_norms")
    if name in ("bind-groups", "free-groups"):
        return bool(told.get("granularity") == GROUP)
    if name in ("require-gradients", "tune"):
        return bool(told.get("weights", NONE) != NONE)
    if not fixed and name in ("sample-inputs", "drop-samplers"):
        return bool(told.get("sampler"))
    if not fixed and name in ("offer-forms", "decompose"):
        return bool(told.get("forms"))
    return True
