"""Quantities: every suffix is read, every value is written so that it reads back, and equal names are equal."""

import pickle

import pytest

from optimise_onnx.ir.quantity import BYTES, COUNTS, LATENCY, SECONDS, Measured, Quantity, scaled


@pytest.mark.parametrize(
    ("suffixes", "suffix", "factor"),
    [
        (COUNTS, "", 1),
        (COUNTS, "k", 1e3),
        (COUNTS, "K", 1e3),
        (COUNTS, "M", 1e6),
        (COUNTS, "G", 1e9),
        (COUNTS, "MB", None),
        (BYTES, "B", 1),
        (BYTES, "kB", 1e3),
        (BYTES, "MB", 1e6),
        (BYTES, "gb", 1e9),
        (BYTES, "KiB", 2**10),
        (BYTES, "mib", 2**20),
        (BYTES, "GiB", 2**30),
        (SECONDS, "s", 1),
        (SECONDS, "MS", 1e-3),
        (SECONDS, "us", 1e-6),
        (SECONDS, "", None),
    ],
)
def test_suffixes(suffixes: dict[str, float], suffix: str, factor: float | None) -> None:
    assert Quantity("any", "units", suffixes).factor(suffix) == factor


def test_case_counts_where_it_must() -> None:
    joules = Quantity("energy", "J", {"J": 1.0, "mJ": 1e-3, "MJ": 1e6})
    assert (joules.factor("mJ"), joules.factor("MJ"), joules.factor("mj"), joules.factor("j")) == (1e-3, 1e6, None, 1)


def test_values_for_people_and_for_targets() -> None:
    count = Quantity("macs", "MACs", COUNTS)
    assert (count.said(1234567.0), count.written(1234567.0)) == ("1,234,567 MACs", "1234567")
    assert Quantity("charge", "uC", {"mC": 1e3, "uC": 1.0}).written(2.5) == "2.5uC"
    assert (LATENCY.said(0.62), LATENCY.written(0.0035)) == ("620 ms", "3.5ms")


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 "), (999, "999 "), (1234, "1.234 k"), (125_500_000, "125.5 M"), (4.1e9, "4.1 G")]
)
def test_counts_are_short(number: float, text: str) -> None:
    assert scaled(number) == text


def test_a_quantity_is_its_name() -> None:
    again = pickle.loads(pickle.dumps(LATENCY))
    assert again == LATENCY and hash(again) == hash(LATENCY) and again.factor("ms") == 1e-3
    assert Measured("latency", "hours", {}) == LATENCY != Measured("energy", "seconds", SECONDS)


def test_only_some_bring_a_device() -> None:
    made = Measured("any", "units", COUNTS, maker=f"{__name__}:make") if "." not in __name__ else None
    assert LATENCY.device(None) is None  # type: ignore[arg-type]
    assert made is None or made.device(None) == (None, made)  # type: ignore[arg-type]


def make(original: object, quantity: Measured) -> object:
    """Return what it was given."""
    return original, quantity
