"""An hls4ml project on disk, made whole or not at all."""

import gzip
import io
import json
import tarfile
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ...ir.errors import LoweringError, UsageError
from .configuration import Options, configuration
from .dialect import dialect, in_order
from .emulator import Emulator
from .network import Floats, Network
from .precision import Precision
from .qonnx import qonnx

NAME = "network"
SOURCES = "hls"
QONNX = f"{NAME}.qonnx"
_RECORD = "project.json"


@dataclass(frozen=True)
class Project:
    """``inputs`` and ``outputs``: names and shapes, in the order that the hardware takes and gives them; ``reuse``: the
    factor of each layer with weights as hls4ml really has it. In ``folder`` are ``hls`` (sources and test data), the
    same as ``hls.tar.gz``, ``network.onnx`` (what hls4ml was given), ``network.qonnx`` (the same with its types) and
    ``project.json`` (this record). All paths in there are relative to ``folder``.
    """

    folder: Path
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]
    reuse: Mapping[str, int]


def write(network: Network, precision: Precision, options: Options, folder: Path, samples: Floats) -> Project:
    """Write the project, with ``samples`` (n, H, W, C) or (n, N) and their emulated results as its test data.

    Raises LoweringError where hls4ml cannot build the network, with what it said; UsageError where ``folder`` holds
    something else than such a project, or hls4ml is not installed. Each leaves ``folder`` as it was.
    """
    with staged(network, precision, options, folder, samples) as made:
        return replace(made, folder=folder)


@contextmanager
def staged(
    network: Network, precision: Precision, options: Options, folder: Path, samples: Floats
) -> Iterator[Project]:
    """Make what :func:`write` does beside ``folder``, and move it there when the block ends without an error."""
    refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
        made = Path(place).resolve() / "made"
        made.mkdir()
        onnx.save(dialect(network), made / f"{NAME}.onnx")
        onnx.save(qonnx(network, precision), made / QONNX)
        converted = _converted(made, configuration(network, precision, options), options)
        reuse = _reuse_factors(converted, network, options)
        _write_test_data(network, precision, samples, made / SOURCES / "tb_data")
        stamp = converted.config.get_config_value("Stamp")  # drawn at random
        weights = f"{made / SOURCES}/firmware/weights"  # read where the library lies, as the other backends do
        _replace(made / SOURCES, {weights: "weights", f"{made}/": "", stamp: NAME})
        outputs = {name: network.by_name[name].shape for name in in_order(network)}
        inputs = {layer.name: layer.shape for layer in network.inputs}
        record = {"inputs": inputs, "outputs": outputs, "reuse": reuse, "options": asdict(options)}
        (made / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        _pack(made / SOURCES, made / f"{SOURCES}.tar.gz")
        yield Project(made, inputs, outputs, reuse)
        if folder.exists():
            folder.rename(Path(place) / "before")
        made.rename(folder)


def held_samples(network: Network, precision: Precision, samples: Floats) -> Floats:
    """Return samples as the hardware holds them, on the grids of its inputs."""
    fed = network.apart(samples)
    return network.together({name: precision[name].result.cast(values) for name, values in fed.items()})


def refuse_foreign(folder: Path) -> None:
    """Raise UsageError where ``folder`` is a file, or holds something else than a project of ours."""
    ours = (folder / _RECORD).exists()
    if folder.exists() and not ours and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"'{folder}' holds something else than an HLS project", hint="name another folder, or empty it"
        )


def _converted(folder: Path, told: Mapping[str, Any], options: Options) -> Any:
    """Convert the model in ``folder`` and write the sources beside it, quietly; return hls4ml's model."""
    hls4ml = load_hls4ml()
    printed = io.StringIO()
    with redirect_stdout(printed), warnings.catch_warnings(record=True) as warned:
        try:
            converted = hls4ml.converters.convert_from_onnx_model(
                str(folder / f"{NAME}.onnx"),
                output_dir=str(folder / SOURCES),
                project_name=NAME,
                backend=options.backend,
                io_type=options.io_type,
                part=options.part,
                clock_period=options.clock_period,
                hls_config=dict(told),
            )
            _undo_transposed(converted)
            converted.write()
        except Exception as error:  # whatever an optimiser of hls4ml stumbles over
            said = [*printed.getvalue().splitlines(), *(str(warning.message) for warning in warned)]
            hint = "it said: " + " | ".join(said[-8:])
            raise LoweringError("hls4ml cannot build the network", why=repr(error), hint=hint) from error
    return converted


def load_hls4ml() -> Any:
    """Import hls4ml, which may print. Raises UsageError where it is not installed."""
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            import hls4ml
    except ImportError as error:
        raise UsageError("hls4ml is not installed", hint="pip install 'optimise-onnx[hls]'") from error
    return hls4ml


def _undo_transposed(converted: Any) -> None:
    """Bring depthwise kernels (C, kh, kw, 1) back to (kh, kw, 1, C), in which hls4ml's own product reads them.

    Its resource strategy transposes them as those of convolutions over all channels.
    """
    for layer in converted.get_layers():
        if layer.class_name == "DepthwiseConv2D" and layer.get_attr("_weights_transposed", False):
            layer.weights["weight"].data = layer.weights["weight"].data.transpose(1, 2, 3, 0)


def _reuse_factors(converted: Any, network: Network, options: Options) -> dict[str, int]:
    """Read back what hls4ml took, from layers that it may have given a prefix.

    Raises LoweringError where that is not what it was told, and its own code may need another one.
    """
    found = {layer.name: layer.get_attr("reuse_factor") for layer in converted.get_layers()}
    prefixes = ("Conv2D_", "DepthwiseConv2D_", "Dense_")
    taken = {}
    for name, setting in options.resolved(network).items():
        taken[name] = int(next(found[p + name] for p in prefixes if p + name in found))
        if taken[name] != setting.reuse:
            why = f"it takes the reuse factor {taken[name]}, not {setting.reuse}"
            raise LoweringError("hls4ml does not build what it is told", node_name=name, why=why)
    return taken


def _write_test_data(network: Network, precision: Precision, samples: Floats, folder: Path) -> None:
    """Write one line a sample: inputs as the hardware holds them, and all outputs behind one another."""
    values = Emulator(network, precision).run(samples)
    results = [values[name].reshape(len(samples), -1) for name in in_order(network)]
    held = held_samples(network, precision, samples).reshape(len(samples), -1)
    folder.mkdir(exist_ok=True)
    np.savetxt(folder / "tb_input_features.dat", held, fmt="%.17g")
    np.savetxt(folder / "tb_output_predictions.dat", np.concatenate(results, axis=1), fmt="%.17g")


def _replace(sources: Path, texts: Mapping[str, str]) -> None:
    """Replace texts in the sources, such as the folder they were made in by the one that they end up in."""
    for file in sources.rglob("*"):
        if file.suffix in {".cpp", ".h", ".sh", ".tcl", ".yml"}:
            before = after = file.read_bytes()
            for old, new in texts.items():
                after = after.replace(old.encode(), new.encode())
            if after != before:
                file.write_bytes(after)


def _pack(folder: Path, archive: Path) -> None:
    """Pack a folder so that the same content gives the same bytes."""
    with gzip.GzipFile(archive, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for file in sorted(folder.rglob("*")):
            tar.add(file, file.relative_to(folder.parent), recursive=False, filter=_undated)


def _undated(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime = 0
    return entry
