"""Pipelines that cannot work are refused before anything runs: both passes are named, and the way out."""

from dataclasses import dataclass, replace
from typing import ClassVar

import digits
import pytest

from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context, Outcome
from optimise_onnx.passes.manager import PassManager, apply
from optimise_onnx.passes.order import ALL, FACTS, PENDING, check, check_carried_out, declared
from optimise_onnx.passes.pipelines import PASSES
from optimise_onnx.passes.select.remove_channels import RemoveChannels
from optimise_onnx.tools.api import run_pipeline

KEEP = "select-channels{keep=0.5}"
FORMS = "select-channels,offer-forms,allocate"
EXACT = ("fold-constants", "fold-batch-norm", "fold-padding", "remove-dead-channels", "merge-duplicate-channels")

LOST_CHOICES = [
    (f"{KEEP},decompose{{share=0.5}},remove-channels", "widths", "select-channels", "decompose"),
    (f"{KEEP},sample-inputs,remove-channels", "widths", "select-channels", "sample-inputs"),
    (f"{KEEP},drop-samplers,remove-channels", "widths", "select-channels", "drop-samplers"),
    (f"{KEEP},select-channels{{keep=0.4}},remove-channels", "widths", "select-channels", "select-channels"),
    (f"{KEEP},allocate,remove-channels", "widths", "select-channels", "allocate"),
    ("select-channels,allocate,fold-batch-norm,remove-channels", "widths", "allocate", "fold-batch-norm"),
    ("select-channels,allocate,allocate,remove-channels", "widths", "allocate", "allocate"),
    (f"{FORMS},decompose,remove-channels", "widths", "allocate", "decompose"),
    (f"{FORMS},remove-channels,reconstruct,decompose", "forms", "allocate", "reconstruct"),
    (f"{FORMS},remove-channels,fold-batch-norm,decompose", "forms", "allocate", "fold-batch-norm"),
    *((f"{KEEP},{name},remove-channels", "widths", "select-channels", name) for name in EXACT),
]
"""Pipelines in which a pass would drop what another has decided."""


@pytest.mark.parametrize(("text", "fact", "maker", "breaker"), LOST_CHOICES)
def test_a_choice_is_never_lost(text: str, fact: str, maker: str, breaker: str) -> None:
    with pytest.raises(UsageError) as caught:
        PassManager.parse(text)
    said, way = str(caught.value), caught.value.hint
    assert said.startswith(f"{breaker} ") and f"the {fact} that {maker} has decided" in said and "\n" not in said
    carrier = {"widths": "remove-channels", "forms": "decompose"}[fact]
    apart = f"{maker} and {breaker}, or {breaker} before {maker}"
    assert way == f"put {carrier} between {'the two' if maker == breaker else apart}"


RANKING = "ranking of the channels"
LOST_RANKINGS = [
    ("select-channels,sample-inputs,allocate", "allocate", RANKING, "sample-inputs"),
    ("select-channels,fold-batch-norm,remove-channels", "remove-channels", RANKING, "fold-batch-norm"),
    ("select-channels,fold-batch-norm,allocate", "allocate", RANKING, "fold-batch-norm"),
    ("select-channels,decompose{share=0.5},offer-forms", "offer-forms", RANKING, "decompose"),
    (f"{KEEP},remove-channels,allocate", "allocate", RANKING, "remove-channels"),
    (f"{KEEP},remove-channels,offer-forms", "offer-forms", RANKING, "remove-channels"),
]


@pytest.mark.parametrize(("text", "needy", "what", "breaker"), LOST_RANKINGS)
def test_a_ranking_is_of_the_graph_as_it_is(text: str, needy: str, what: str, breaker: str) -> None:
    with pytest.raises(UsageError, match=f"{needy} needs a {what}, and {breaker} rewrites the graph") as caught:
        PassManager.parse(text)
    assert "that select-channels has made it for" in str(caught.value)
    assert caught.value.hint == f"put {breaker} before select-channels, or select-channels again after {breaker}"


MISSING = [
    ("allocate{target=latency=0.5x}", "allocate", "ranking", "select-channels"),
    ("offer-forms", "offer-forms", "ranking", "select-channels"),
    ("remove-channels", "remove-channels", "ranking", "select-channels"),
    ("select-channels,remove-channels", "remove-channels", "widths", "allocate"),
    (f"{KEEP},remove-channels,remove-channels", "remove-channels", "ranking", "select-channels"),
    ("decompose", "decompose", "forms", "offer-forms and allocate"),
    ("select-channels,allocate,remove-channels,decompose", "decompose", "forms", "offer-forms and allocate"),
    (f"{FORMS},remove-channels,decompose,decompose", "decompose", "forms", "offer-forms and allocate"),
    ("reconstruct", "reconstruct", "reference", "remove-channels or decompose"),
    ("fold-channels", "fold-channels", "reference", "remove-channels or decompose"),
    ("select-channels,reconstruct", "reconstruct", "reference", "remove-channels or decompose"),
]


@pytest.mark.parametrize(("text", "needy", "fact", "maker"), MISSING)
def test_what_is_needed_is_named_and_who_makes_it(text: str, needy: str, fact: str, maker: str) -> None:
    with pytest.raises(UsageError, match=f"{needy} needs {FACTS[fact]}") as caught:
        PassManager.parse(text)
    assert caught.value.hint is not None and caught.value.hint.startswith("put ") and maker in caught.value.hint


WORKING = [
    ",".join(EXACT),
    "select-channels",
    f"{KEEP},remove-channels,reconstruct",
    f"{KEEP},remove-channels,{KEEP},remove-channels,reconstruct,reconstruct",
    f"{KEEP},remove-channels,reconstruct,fold-batch-norm,{KEEP},remove-channels,fold-channels,reconstruct",
    f"{','.join(EXACT)},{KEEP},require-rules,remove-channels",
    "select-channels,select-channels,allocate,remove-channels",
    f"{FORMS},remove-channels,decompose,reconstruct",
    f"{FORMS},remove-channels,require-rules,decompose",
    "decompose{share=0.5},select-channels,allocate,remove-channels,reconstruct",
    "decompose{share=0.5},decompose{energy=0.9},reconstruct",
    "sample-inputs,select-channels,allocate,remove-channels,reconstruct,drop-samplers,reconstruct",
]


@pytest.mark.parametrize("text", WORKING)
def test_what_can_work_parses(text: str) -> None:
    manager = PassManager.parse(text)
    manager.check_carried_out()
    assert str(manager) == text


@pytest.mark.parametrize(
    ("text", "who", "fact", "carrier"),
    [
        (KEEP, "select-channels", "widths", "remove-channels"),
        ("select-channels,allocate", "allocate", "widths", "remove-channels"),
        (f"{FORMS},remove-channels", "allocate", "forms", "decompose"),
    ],
)
def test_a_whole_run_carries_out_what_it_decides(text: str, who: str, fact: str, carrier: str) -> None:
    PassManager.parse(text)  # in pieces, or to look at what is decided
    with pytest.raises(UsageError, match=f"decides {fact} that no pass carries out") as caught:
        run_pipeline(digits.network(), PassManager.parse(text))
    assert str(caught.value).startswith(who) and caught.value.hint == f"put {carrier} after it"


def meeting(propose: str, finish: str) -> str:
    return f'meet-target{{propose="{propose}",finish="{finish}"}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (meeting("allocate", "remove-channels"), "allocate needs a ranking"),
        (meeting("select-channels,allocate", "reconstruct"), "reconstruct needs a graph from before"),
        (meeting("select-channels,allocate", "drop-samplers"), "drop-samplers rewrites the graph before the widths"),
        (meeting("select-channels,allocate", "require-rules"), "allocate decides widths that no pass carries out"),
        (meeting("select-channels,offer-forms,allocate", "remove-channels"), "decides forms that no pass carries out"),
        (meeting("select-channels,sample-inputs,allocate", "remove-channels"), "sample-inputs rewrites the graph"),
        (meeting("select-channels,allocat", "remove-channels"), "did you mean 'allocate'"),
        (
            f"{KEEP},{meeting('select-channels,allocate', 'remove-channels')}",
            "before the widths that select-channels has decided",
        ),
    ],
)
def test_pipelines_within_a_pass_are_checked_too(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        PassManager.parse(text)


def test_after_a_pass_that_meets_a_target_there_is_a_reference() -> None:
    inner = meeting("select-channels,allocate", "remove-channels")
    PassManager.parse(f"{inner},reconstruct,{inner},fold-channels")


def test_a_pipeline_may_go_on_from_a_plan() -> None:
    with pytest.raises(UsageError):
        PassManager.parse("remove-channels")
    PassManager.parse("remove-channels,reconstruct", given=("ranking", "widths"))
    with pytest.raises(UsageError, match="the widths that an earlier run has decided"):
        PassManager.parse("fold-batch-norm", given=("ranking", "widths"))


def test_what_only_shows_at_run_time_is_refused_too() -> None:
    """Passes put together by hand, and one that does not do what it declares."""
    graph, shared = digits.network().copy(), digits.context(0)
    with pytest.raises(UsageError, match="remove-channels needs a ranking"):
        apply(RemoveChannels(), graph, shared)
    with pytest.raises(UsageError, match="remove-channels needs a ranking"):
        PassManager((RemoveChannels(),)).run(graph, shared)
    digits.run(KEEP, shared)
    with pytest.raises(UsageError, match="the widths that an earlier run has decided are carried out"):
        PassManager(PassManager.parse("fold-batch-norm").passes).run(graph, shared)
    shared.plan = replace(shared.plan, ranking=None)
    with pytest.raises(UsageError, match="remove-channels needs a ranking"):
        apply(RemoveChannels(), graph, shared)


@dataclass(frozen=True)
class Plain:
    """Declares nothing."""

    name: ClassVar[str] = "plain"

    def run(self, graph: Graph, context: Context) -> Outcome:
        return Outcome(False)


def test_a_pass_that_declares_nothing_preserves_nothing() -> None:
    assert declared(Plain(), "needs") == declared(Plain(), "preserves") == frozenset()
    assert check((Plain(),), ("ranking", "reference")) == frozenset()
    for fact in PENDING:
        with pytest.raises(UsageError, match=f"plain rewrites the graph before the {fact}"):
            check((Plain(),), (fact,))


def test_what_every_pass_declares_is_known() -> None:
    words = {"needs", "provides", "carries_out", "preserves"}
    for kind in PASSES.values():
        needed = {"propose": "select-channels", "finish": "remove-channels"} if kind.name == "meet-target" else {}
        step = kind(**needed)
        assert all(declared(step, word) <= ALL | {"written", "values"} for word in words), kind.name
        assert declared(step, "carries_out") <= declared(step, "needs") | {"forms"}, kind.name


def test_the_facts_that_hold_are_told() -> None:
    steps = PassManager.parse(f"{FORMS},remove-channels").passes
    assert check(steps) == {"forms", "reference"}
    assert check(steps[:2]) == {"ranking", "offers"}
    assert check(steps[:3]) == {"ranking", "widths", "forms"}
    check_carried_out((*steps, *PassManager.parse("decompose", given=("forms",)).passes))
