"""Scripts of a user: whatever they raise or do, it ends, and with one error that says what."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from optimise_onnx.frontends import scripts
from optimise_onnx.frontends.calibration import calibration
from optimise_onnx.frontends.data import drawn
from optimise_onnx.frontends.scripts import guarded
from optimise_onnx.ir.errors import BudgetError, CalibrationError
from optimise_onnx.ir.feeds import Feeds
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.memory import memory_limit


def model() -> Graph:
    """y = x; x (N, 3) float32."""
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 3]) for name in "xy")
    return Graph.of(helper.make_model(helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])))


def batch(count: int = 2) -> Feeds:
    return {"x": np.zeros((count, 3), np.float32)}


@pytest.mark.parametrize(
    "error", [SystemExit(0), SystemExit("gone"), KeyboardInterrupt(), GeneratorExit(), MemoryError(), OSError("gone")]
)
def test_whatever_a_script_raises(error: BaseException, tmp_path: Path) -> None:
    def raising() -> Iterator[Feeds]:
        yield batch()
        raise error

    with pytest.raises(CalibrationError, match=f"the function failed: {type(error).__name__}"):
        calibration(raising, model())
    (tmp_path / "s.py").write_text(f"raise {type(error).__name__}")
    with pytest.raises(CalibrationError, match=f"does not load: {type(error).__name__}"):
        calibration(f"{tmp_path}/s.py:f", model())


def test_a_signal_of_the_user_is_no_failure_of_the_script() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
    try:
        with pytest.raises(KeyboardInterrupt), guarded("failed"):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_code_that_never_returns() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(CalibrationError, match="it ran for more than 0 s"), guarded("slow", 0.05):
        while True:
            try:
                time.sleep(0.01)
            except Exception:  # what a script may do
                continue
    assert signal.getsignal(signal.SIGALRM) is before


def test_a_thread_of_its_own_is_guarded_but_for_time() -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with guarded("failed", 1):
                raise SystemExit
        except CalibrationError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [str(error) for error in errors] == ["failed: SystemExit"]


def endless() -> Iterator[Feeds]:
    while True:
        yield batch(4096)


def empty() -> Iterator[Feeds]:
    while True:
        yield batch(0)


def stuck() -> Iterator[Feeds]:
    yield batch()
    time.sleep(60)


@pytest.mark.parametrize(
    ("made", "said"),
    [(endless, "more than 65,536 samples.*--samples"), (empty, "a batch of no samples"), (stuck, "ran for more than")],
)
def test_functions_that_do_not_end(
    made: Callable[[], Iterator[Feeds]], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawn, "_SECONDS", 0.5)
    monkeypatch.setattr(scripts, "_LOADING", 0.5)
    with pytest.raises(CalibrationError, match=said):
        calibration(made, model())


def test_samples_that_would_fill_the_memory() -> None:
    with memory_limit("1MB"), pytest.raises(BudgetError, match="what the function yields needs too much memory"):
        calibration(endless, model(), samples=10**6)


def test_a_function_is_called_once_and_its_arrays_are_copied() -> None:
    calls = []

    def changing() -> Iterator[Feeds]:
        calls.append(1)
        array = batch()["x"]
        for value in range(3):
            array[:] = value + 10 * len(calls)
            yield {"x": array}

    found = calibration(changing, model())
    for _ in range(2):
        assert [value for part in found.batches(4) for value in part["x"][:, 0]] == [10, 10, 11, 11, 12, 12]
    assert len(calls) == 1


def test_so_many_samples_as_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn, "_MOST", 5000)
    assert calibration(endless, model(), samples=9000).samples == 9000
