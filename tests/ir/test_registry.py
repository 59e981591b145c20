"""Names of ours and of other packages: found, listed, or refused in one line that names the entry point."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import pytest

from optimise_onnx.ir import registry
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.registry import Registry

GROUP = "optimise_onnx.animals"


@runtime_checkable
class Animal(Protocol):
    legs: int


@dataclass(frozen=True)
class Insect:
    legs: int = 6


@dataclass(frozen=True)
class FakeEntryPoint:
    name: str
    value: str
    result: Any

    def load(self) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def animals(monkeypatch: pytest.MonkeyPatch, entries: Sequence[FakeEntryPoint], kind: type = Animal) -> Registry[Any]:
    """A registry of two animals, and of what some packages offer."""
    monkeypatch.setattr(registry, "offered", lambda group: tuple(entries) if group == GROUP else ())
    return Registry("animal", GROUP, {"spider": Insect(8), "cat": Insect(4)}, kind=kind)


def test_ours_come_in_the_order_of_the_table_and_theirs_after(monkeypatch: pytest.MonkeyPatch) -> None:
    known = animals(monkeypatch, [FakeEntryPoint("ant", "theirs:ANT", Insect())])
    assert list(known) == ["spider", "cat", "ant"] and len(known) == 3
    assert "ant" in known and "dog" not in known and known.get("dog") is None
    assert known["ant"].legs == known.find("ant").legs == 6


def test_an_unknown_name_says_what_is_like_it_and_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    known = animals(monkeypatch, [FakeEntryPoint("ant", "theirs:ANT", Insect())])
    said = r"no animal is called 'spyder' \(did you mean 'spider'\? one of spider, cat, ant\)"
    with pytest.raises(UsageError, match=said):
        known.find("spyder")
    with pytest.raises(UsageError, match=r"'elephant' \(one of spider"):
        known.find("elephant")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([("cat", "theirs:CAT", Insect())], "'theirs:CAT' offers the animal 'cat', which exists"),
        ([("ant", "one:ANT", Insect()), ("ant", "two:ANT", Insect())], "'two:ANT' offers.*'ant', which exists"),
        ([("ant", "theirs:ANT", ImportError("no theirs"))], "'ant' of 'theirs:ANT' cannot be imported: no theirs"),
        ([("ant", "theirs:ANT", ZeroDivisionError("so"))], "'ant' of 'theirs:ANT' cannot be imported: so"),
        ([("ant", "theirs:ANT", 6)], "'ant' of 'theirs:ANT' is not a Animal: it is 6"),
        ([("ant", "theirs:Insect", Insect)], r"'ant' of 'theirs:Insect' is a class \(offer an instance"),
    ],
)
def test_what_cannot_be_used_is_refused(
    entries: list[tuple[str, str, Any]], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = animals(monkeypatch, [FakeEntryPoint(*entry) for entry in entries])
    with pytest.raises(UsageError, match=said):
        known.find("ant")


def test_what_is_broken_does_not_hinder_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    known = animals(monkeypatch, [FakeEntryPoint("ant", "theirs:ANT", ImportError("no theirs"))])
    assert known.find("cat").legs == 4


def test_a_table_of_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    known = animals(monkeypatch, [FakeEntryPoint("ant", "theirs:Insect", Insect)], kind=type)
    assert known.find("ant") is Insect


def test_what_is_installed_is_found() -> None:
    assert "pytest" in [entry.name for entry in registry.offered("console_scripts")]
