"""Hardware projects of whole networks: simulated, compared bit by bit with the emulator, and with onnxruntime.

    PYTHONPATH=. python benchmarks/hls_networks.py SHARED [NAME ...]

SHARED is a folder with ``models/*.onnx``, ``data/*.npz`` and ``data/load.py``. Needs hls4ml and g++. Types come from
128 samples; 200 others are measured on. *csim*: 16 samples, fewer where one takes long. Layers of up to 4,096 weights
have the latency strategy, others resource.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from hls_common import Case, agreement, case, digits, drawn, head, row, through
from networks import cifar, noise

from optimise_onnx.backends.hls.budget import relative_error
from optimise_onnx.backends.hls.calibrate import calibrated
from optimise_onnx.backends.hls.configuration import Options
from optimise_onnx.backends.hls.cost.settings import UNROLLED_WEIGHTS, Setting, weights
from optimise_onnx.backends.hls.emulator import Emulator
from optimise_onnx.backends.hls.network import Convolution, Dense, Floats, Network
from optimise_onnx.backends.hls.precision import Precision
from optimise_onnx.backends.hls.project import write
from optimise_onnx.backends.hls.reference import run
from optimise_onnx.backends.hls.simulate import simulate
from tests.zoo import ZOO
from tests.zoo.builder import Builder

SIMULATED = 16
REUSE = 64
DECOMPOSE = "fold-constants,fold-batch-norm,decompose{forms=stretch,share=0.6}"


def trained(shared: Path, name: str) -> Case:
    """A network of SHARED with CIFAR-10 images (training images to calibrate), or with noise."""
    if name == "resnet8_cifar10":
        calibration, _ = cifar(128, raw=True)[0](shared)
        held_out, _ = cifar(raw=True)[1](shared)
    else:
        shapes = {"dscnn_kws": ("input_1", 49, 10, 1), "autoencoder_toycar": ("input", 640)}
        calibration, held_out = (read(shared)[0] for read in noise(*shapes[name]))
    first, second = (next(iter(feeds.values())) for feeds in (calibration, held_out))
    return case(shared / "models" / f"{name}.onnx", first[:128], second[:200])


def dilated() -> Case:
    """Two convolutions of dilations 2 and 3 between plain ones."""
    b = Builder("dilated")
    h = b.conv_relu(b.input("x", ["N", 3, 12, 12]), 12)
    for size in (2, 3):
        weight, bias = b.weight([12, 12, 3, 3]), b.vector(12)
        h = b.relu(b.node("Conv", [h, weight, bias], dilations=[size] * 2, pads=[size] * 4))
    return drawn(b.model(b.head(b.conv_relu(h, 16), 5)))


def decomposed() -> Case:
    """The residual network of the zoo with its 3 x 3 kernels as 3 x 1 and 1 x 3."""
    return through(drawn(ZOO["resnet_projection"]()), DECOMPOSE)


def made(shared: Path) -> dict[str, Callable[[], Case]]:
    """All networks by name: trained ones, and those of the tests with random weights."""
    names = ("resnet8_cifar10", "dscnn_kws", "autoencoder_toycar")
    found: dict[str, Callable[[], Case]] = {name: partial(trained, shared, name) for name in names}
    zoo = {
        "plain": "vgg_gap",
        "residual": "resnet_projection",
        "depthwise": "depthwise_separable",
        "grouped": "resnext",
        "concat": "densenet",
    }
    found |= {name: lambda key=key: drawn(ZOO[key]()) for name, key in zoo.items()}
    return found | {"digits": digits, "dilated": dilated, "decomposed": decomposed}


def options(network: Network) -> Options:
    """Unroll small layers; let others take turns."""
    weighted = [layer for layer in network.layers if isinstance(layer, Convolution | Dense)]
    large = {layer.name: weights(layer).size > UNROLLED_WEIGHTS for layer in weighted}
    return Options(settings={name: Setting(REUSE, "resource") if each else Setting() for name, each in large.items()})


def simulated(network: Network, precision: Precision, samples: Floats) -> tuple[str, float, float]:
    """Make a project and simulate it; return how many numbers differ from the emulator's, and seconds for both."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        project = write(network, precision, options(network), Path(folder) / "made", samples[:4])
        middle = time.perf_counter()
        found = simulate(project, samples)
        end = time.perf_counter()
    wanted = Emulator(network, precision).run(samples)
    differing = sum(int(np.count_nonzero(found[name] != values)) for name, values in wanted.items())
    return f"{differing} of {sum(v.size for v in wanted.values())}", middle - start, end - middle


def score(name: str, made: Case) -> None:
    """Print a row for 16 bits and one for 8."""
    given, wanted = made.fed(made.held_out), made.onnxruntime(made.held_out)
    exact = made.rows(run(made.network, given))
    for bits in (16, 8):
        network, precision = calibrated(made.network, made.fed(made.calibration[:128]), bits, bits)
        emulated = made.rows(Emulator(network, precision).run(given))
        differing, writing, simulating = simulated(network, precision, given[:SIMULATED])
        error = relative_error([emulated], [exact])
        seconds = (f"{writing:.0f}", f"{simulating:.0f}")
        row((name, bits, differing, f"{agreement(emulated, wanted):.1f}", f"{error:.1e}", *seconds))


def main() -> None:
    """Run the named networks, all by default."""
    networks = made(Path(sys.argv[1]))
    head("network", "bits", "numbers that differ", "same top class, %", "RMS error", "s to write", "s to simulate")
    for name in sys.argv[2:] or networks:
        score(name, networks[name]())


if __name__ == "__main__":
    main()
