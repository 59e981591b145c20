"""The table of methods. ``make(path, samples, amount)`` returns a smaller ONNX model.

For ours the amount is the share of MACs (or of time); for all others a share of channels, which is sought until the
MACs are met. ``alike`` names a method that takes the same widths at the same amount, so that it is sought once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import optimise_onnx

Array = np.ndarray[Any, np.dtype[Any]]
Samples = Mapping[str, Array]
Make = Callable[[Path, Samples, float], onnx.ModelProto]


@dataclass(frozen=True)
class Peer:
    """A method: what it is called on the page, whose it is, and how it is run."""

    name: str
    family: str
    make: Make
    aims: str = ""  # the quantity that the amount is a share of; "" where it is a share of channels
    alike: str = ""


def compressed(path: Path, samples: Samples | None, amount: float, aims: str, **options: Any) -> onnx.ModelProto:
    """Compress with this project's defaults."""
    data = None if samples is None else dict(samples)
    return optimise_onnx.compress(
        path, target=f"{aims}={amount:g}x", data=data, threads=1, guard=False, **options
    ).model


def _onnxsim(activations: bool, refit: bool) -> Make:
    def make(path: Path, samples: Samples, amount: float) -> onnx.ModelProto:
        from .pruners import onnxsim

        return onnxsim(path, samples, amount, activations, refit)

    return make


def _torch(prune: str, norms: bool = False, **options: Any) -> Make:
    """Through PyTorch: convert, prune, estimate norms anew where asked, export."""

    def make(path: Path, samples: Samples, amount: float) -> onnx.ModelProto:
        from . import norms as norm
        from . import pruners
        from .torch_models import exported

        module = pruners.read(path, samples)
        if norms:
            norm.put_back(module, samples)
        module = getattr(pruners, prune)(module, samples, amount, **options)
        if norms:
            norm.estimated(module, samples)
        return exported(module, samples)

    return make


def _published(repair: str, norms: bool = False) -> Make:
    def make(path: Path, samples: Samples, amount: float) -> onnx.ModelProto:
        from . import baselines
        from . import norms as norm
        from .torch_models import converted, exported

        module = converted(path, samples)
        if norms:
            norm.put_back(module, samples)
        baselines.pruned(module, samples, amount, getattr(baselines, repair))
        if norms:
            norm.estimated(module, samples)
        return exported(module, samples)

    return make


OURS, SIM, TP, KIRIGAMI, PAPER = "optimise-onnx", "onnxsim", "Torch-Pruning", "torch-kirigami", "published"
PEERS = {
    peer.name: peer
    for peer in (
        Peer("ours", OURS, partial(compressed, aims="macs"), "macs"),
        Peer("ours, stretch", OURS, partial(compressed, aims="macs", align=1, forms=["stretch"]), "macs"),
        Peer("ours, by time", OURS, partial(compressed, aims="latency"), "latency"),
        Peer("onnxsim L2", SIM, _onnxsim(False, False)),
        Peer("onnxsim L2, refit", SIM, _onnxsim(False, True), alike="onnxsim L2"),
        Peer("onnxsim Wanda", SIM, _onnxsim(True, False)),
        Peer("onnxsim Wanda, refit", SIM, _onnxsim(True, True), alike="onnxsim Wanda"),
        Peer("Torch-Pruning L1", TP, _torch("torch_pruning", everywhere=False)),
        Peer("Torch-Pruning L1, BN", TP, _torch("torch_pruning", True, everywhere=False), alike="Torch-Pruning L1"),
        Peer("Torch-Pruning group", TP, _torch("torch_pruning", everywhere=True)),
        Peer("Torch-Pruning group, BN", TP, _torch("torch_pruning", True, everywhere=True)),
        Peer("L1 in blocks", PAPER, _published("dropped")),
        Peer("L1 in blocks, BN", PAPER, _published("dropped", True), alike="L1 in blocks"),
        Peer("Neuron Merging", PAPER, _published("merged"), alike="L1 in blocks"),
        Peer("Gram-only", PAPER, _published("compensated"), alike="L1 in blocks"),
        Peer("kirigami group", KIRIGAMI, _torch("kirigami")),
        Peer("kirigami group, BN", KIRIGAMI, _torch("kirigami", True)),
    )
}
