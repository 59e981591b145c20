"""The memory that may be used: what is free, what is asked for, and what the system holds."""

import resource

import numpy as np
import pytest

from optimise_onnx.ir import memory
from optimise_onnx.ir.errors import BudgetError, UsageError
from optimise_onnx.ir.memory import afford, bounded, free, limit, memory_limit


@pytest.mark.parametrize(("text", "wanted"), [("4GiB", 2**32), ("500MB", 5 * 10**8), ("1.5 kB", 1500), (7, 7)])
def test_amounts(text: str | int, wanted: int) -> None:
    with memory_limit(text):
        assert limit() == wanted


@pytest.mark.parametrize("text", ["", "much", "-4GiB", "4 apples", "GiB"])
def test_texts_that_are_no_amount(text: str) -> None:
    with pytest.raises(UsageError, match="no amount of memory"), memory_limit(text):
        pass


def test_the_default_is_a_share_of_what_is_free() -> None:
    with memory_limit(None) as most:
        assert 0.5 * free() < most < free()


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "Path", lambda *_: (_ for _ in ()).throw(OSError))
    assert free() > 2**20


def test_the_limits_of_the_process_count(monkeypatch: pytest.MonkeyPatch) -> None:
    most = 2**36
    monkeypatch.setattr(memory, "_machine", lambda: 2**40)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (most, most))
    assert most // 2 < free() < most


def test_what_is_beyond_the_limit() -> None:
    with memory_limit("1kB"):
        afford(1000, "this")
        with pytest.raises(
            BudgetError, match=r"this needs too much memory: about 2 kB; the limit is 1 kB \(--memory-limit"
        ):
            afford(2000, "this")


def test_the_system_holds_the_limit() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(BudgetError, match="too much memory: the limit is 100 MB"), bounded("100MB"):
        np.zeros(10**9)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
