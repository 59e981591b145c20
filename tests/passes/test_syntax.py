"""Pipelines print and parse back to the same passes; what cannot be read says what could."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context, Outcome, Pass
from optimise_onnx.passes.pipelines import PASSES, known_passes
from optimise_onnx.passes.syntax import join, options, parse, text


@dataclass(frozen=True)
class Everything:
    """A pass with an option of every type."""

    count: int = 1
    share: float = 0.5
    word: str = ""
    flag: bool = False
    words: tuple[str, ...] = ()
    counts: tuple[int, ...] = (1,)
    limit: float | None = 1.0
    label: str | None = None
    name: ClassVar[str] = "every-thing"

    def run(self, graph: Graph, context: Context) -> Outcome:
        return Outcome(False)


@dataclass(frozen=True)
class Needy:
    """A pass with an option that must be given, and may refuse it."""

    max_ratio: float
    name: ClassVar[str] = "needy"

    def __post_init__(self) -> None:
        if self.max_ratio > 1:
            raise ValueError("a ratio above 1")

    def run(self, graph: Graph, context: Context) -> Outcome:
        return Outcome(False)


TABLE: dict[str, type[Pass]] = {"every-thing": Everything, "needy": Needy}
floats = st.floats(allow_nan=False)
steps = st.builds(
    Everything,
    count=st.integers(),
    share=floats,
    word=st.text(),
    flag=st.booleans(),
    words=st.lists(st.text()).map(tuple),
    counts=st.lists(st.integers()).map(tuple),
    limit=st.none() | floats,
    label=st.none() | st.text() | st.just("none"),
)


@given(st.lists(steps | st.builds(Needy, st.floats(0, 1)), min_size=1).map(tuple))
def test_printing_and_parsing_go_round(pipeline: tuple[Pass, ...]) -> None:
    assert parse(join(pipeline), TABLE) == pipeline


@pytest.mark.parametrize(
    ("written", "step"),
    [
        ("every-thing", Everything()),
        (" every-thing { } ", Everything()),
        ("every-thing{count=3, share=1e-3}", Everything(count=3, share=1e-3)),
        ("every-thing{word=macs=0.5x}", Everything(word="macs=0.5x")),
        (r"every-thing{word=conv\d{1,3}|fc}", Everything(word=r"conv\d{1,3}|fc")),
        ('every-thing{word="a,b}"}', Everything(word="a,b}")),
        ("every-thing{words=a; b|c}", Everything(words=("a", "b|c"))),
        ("every-thing{words=}", Everything()),
        ("every-thing{flag=True,limit=none}", Everything(flag=True, limit=None)),
        ("needy{max_ratio=0.5}", Needy(0.5)),
        ("needy{max-ratio=0.5}", Needy(0.5)),
    ],
)
def test_what_people_write(written: str, step: Pass) -> None:
    assert parse(written, TABLE) == (step,)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "names no pass.*known passes: every-thing, needy"),
        ("every-think", "no pass 'every-think'.*did you mean 'every-thing'"),
        ("xyz", "no pass 'xyz'.*known passes: every-thing, needy"),
        ("every-thing{cuont=1}", "no option 'cuont'.*did you mean 'count'"),
        ("every-thing{xyz=1}", "no option 'xyz'.*its options: count, share"),
        ("every-thing{count}", "'count' of pass 'every-thing' has no value"),
        ("every-thing{count=1.5}", "is '1.5', which is no int"),
        ("every-thing{flag=perhaps}", "is 'perhaps', which is no bool"),
        ('every-thing{word="a}', "is .*which is no str"),
        ("every-thing{count=1", "braces.*do not match"),
        ("every-thing}", "braces.*do not match"),
        ("every-thing count=1", "cannot read the pass"),
        ("needy", "cannot be made.*max_ratio"),
        ("needy{max-ratio=2}", "a ratio above 1"),
    ],
)
def test_what_cannot_be_read_says_why(written: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse(written, TABLE)


def test_defaults_are_left_out() -> None:
    assert text(Everything(words=("a", "b;c"), flag=True)) == 'every-thing{flag=true,words=a;"b;c"}'


def test_options_are_listed() -> None:
    assert options(Needy) == [("max-ratio", "float", "")]
    assert ("share", "float", "0.5") in options(Everything)


def test_every_known_pass_is_documented_and_called_by_its_name() -> None:
    for name, kind in PASSES.items():
        assert kind.name == name
        assert kind.__doc__
        assert options(kind) is not None
    assert known_passes().keys() >= PASSES.keys()
