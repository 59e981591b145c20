"""The project on disk against the emulator: g++'s simulation gives the same bits, and a failure leaves nothing."""

from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest

from optimise_onnx.backends.hls import project
from optimise_onnx.backends.hls.calibrate import calibrated
from optimise_onnx.backends.hls.configuration import Options, configuration
from optimise_onnx.backends.hls.cost.settings import Setting
from optimise_onnx.backends.hls.emulator import Emulator
from optimise_onnx.backends.hls.project import Project, write
from optimise_onnx.backends.hls.simulate import simulate
from optimise_onnx.ir.errors import LoweringError, UsageError, VerificationError

from .networks import MADE, plain, samples

pytest.importorskip("hls4ml")
pytestmark = [pytest.mark.hls, pytest.mark.skipif(which("g++") is None, reason="needs g++")]


def written(name: str, bits: int, options: Options, folder: Path) -> tuple[Project, Emulator]:
    network, precision = calibrated(MADE[name](), samples(MADE[name](), 32), bits, bits)
    return write(network, precision, options, folder, samples(network, 4)), Emulator(network, precision)


@pytest.mark.parametrize(
    ("name", "bits", "options"),
    [
        ("plain", 8, Options(backend="Catapult")),
        ("plain", 16, Options(settings=Setting(5, "resource"))),
        ("residual", 12, Options()),
        ("residual", 8, Options(settings=Setting(4, "resource"))),
        ("separable", 16, Options()),
        ("separable", 8, Options(settings=Setting(6, "resource"))),
        ("shared", 8, Options(backend="Vivado")),
        ("windows", 8, Options(io_type="io_parallel")),
        ("curved", 16, Options(io_type="io_parallel")),
        ("gated", 8, Options()),
        ("gated", 10, Options(io_type="io_parallel", backend="Vivado")),
        ("upsampled", 8, Options()),
        ("upsampled", 8, Options(io_type="io_parallel")),
        ("tabulated", 14, Options(io_type="io_parallel")),
        ("tabulated", 14, Options(backend="Vivado")),
    ],
    ids=lambda value: value if isinstance(value, str | int) else value.settings.strategy,
)
def test_the_simulation_gives_the_bits_of_the_emulator(name: str, bits: int, options: Options, tmp_path: Path) -> None:
    project, emulator = written(name, bits, options, tmp_path / "made")
    given = samples(MADE[name](), 16, seed=5) * 1.5  # some leave the ranges seen
    simulated, emulated = simulate(project, given), emulator.run(given)
    assert simulated.keys() == emulated.keys()
    for output, values in emulated.items():
        np.testing.assert_array_equal(simulated[output], values, err_msg=output)
        assert np.ptp(values) > 0


def test_a_project_is_the_same_twice_and_replaces_itself(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "made"
    first, _ = written("plain", 8, Options(settings=Setting(5, "resource")), folder)
    packed = (folder / "hls.tar.gz").read_bytes()
    second, _ = written("plain", 8, Options(settings=Setting(5, "resource")), folder)
    assert first == second
    assert packed == (folder / "hls.tar.gz").read_bytes()
    assert first.reuse == {"c1": 3, "d1": 4, "d2": 4, "d3": 7}
    assert [file.name for file in folder.parent.iterdir()] == ["made"]
    assert "OutputDir: hls\n" in (folder / "hls" / "hls4ml_config.yml").read_text(encoding="utf-8")


def test_test_data_are_what_the_hardware_takes_and_gives(tmp_path: Path) -> None:
    _, emulator = written("separable", 8, Options(), tmp_path / "made")
    place = tmp_path / "made" / "hls" / "tb_data"
    given = np.loadtxt(place / "tb_input_features.dat").reshape(4, 8, 8, 4)
    wanted = emulator.run(given)
    found = np.loadtxt(place / "tb_output_predictions.dat")
    np.testing.assert_array_equal(found, np.hstack([wanted[name].reshape(4, -1) for name in ("r2", "r3", "p2")]))


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError):
        written("plain", 8, Options(), tmp_path / "made")
    assert [file.name for file in (tmp_path / "made").iterdir()] == ["thesis.txt"]


def test_what_hls4ml_refuses_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adder graphs share nothing; our settings never ask them to, so the configuration is changed behind them."""

    def shared(*given: Any) -> dict[str, Any]:
        found = configuration(*given)
        for entry in found["LayerName"].values():
            entry |= {"ReuseFactor": 4} if "Strategy" in entry else {}
        return found

    monkeypatch.setattr(project, "configuration", shared)
    with pytest.raises(LoweringError, match="rf = 4 != 1"):
        written("plain", 8, Options(settings=Setting(1, "distributed_arithmetic")), tmp_path / "made")
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().out == ""


def test_sources_that_do_not_compile_say_so(tmp_path: Path) -> None:
    project, _ = written("plain", 8, Options(), tmp_path / "made")
    source = tmp_path / "made" / "hls" / "firmware" / "network.cpp"
    source.write_text("#error broken on purpose\n")
    with pytest.raises(VerificationError, match="broken on purpose"):
        simulate(project, samples(plain(), 1))


def test_a_simulation_that_aborts_says_so(tmp_path: Path) -> None:
    project, _ = written("plain", 8, Options(), tmp_path / "made")
    bridge = tmp_path / "made" / "hls" / "build_lib.sh"
    stub = '#include <cstdlib>\nextern "C" void network_double(double*, double*) { abort(); }\n'
    (tmp_path / "made" / "hls" / "stub.cpp").write_text(stub)
    bridge.write_text("g++ -shared -fPIC stub.cpp -o firmware/network.so\n")
    with pytest.raises(VerificationError, match="signal 6"):
        simulate(project, samples(plain(), 1))
    bridge.write_text("sleep 5\n")
    with pytest.raises(VerificationError, match="over 0.1 s"):
        simulate(project, samples(plain(), 1), compile_seconds=0.1)
