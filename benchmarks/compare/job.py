"""One method on one network, at every share asked for, in a process of its own, so that its memory is its own.

    python -m compare.job SPEC

SPEC is a JSON file: ``peer``, ``model``, ``calibration``, ``shape``, ``outs`` (a file a share), ``told`` (where the
result goes), and ``shares``; ``amounts`` by share where they are known, else they are sought. The result is a list of
``amount``, ``cpu`` and ``wall`` seconds of the method alone, or ``failed`` with a message, and the largest ``memory``
of the process so far in GiB.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from coverage import peak

from .measure import costs
from .peers import PEERS, Make

STEPS, CLOSE = 7, 0.004
MOST = 0.98


class Unreached(Exception):
    """The largest share of channels leaves more than was asked for."""


def sought(make: Make, path: Path, samples: dict[str, Any], share: float, out: Path, shape: str) -> float:
    """Return the share of channels that leaves a share of the MACs, as near as it comes in a few bisections."""
    whole, low, high = costs(path, shape)["macs"], 0.0, MOST
    tried: dict[float, float] = {}

    def left(amount: float) -> float:
        onnx.save(make(path, samples, amount), out)
        tried[amount] = costs(out, shape)["macs"] / whole
        return tried[amount]

    amount = 1 - share
    for step in range(STEPS):
        found = left(amount)
        if abs(found - share) < CLOSE:
            break
        low, high = (amount, high) if found > share else (low, amount)
        if step == 1 and high == MOST and left(MOST) > share + CLOSE:
            raise Unreached(f"leaves {tried[MOST]:.3f} of the MACs when asked for {MOST:.0%} of the channels")
        amount = (low + high) / 2
    return min(tried, key=lambda each: abs(tried[each] - share))


def done(spec: dict[str, Any], share: float, out: Path, samples: dict[str, Any]) -> dict[str, Any]:
    """Run the method at one share, and time that."""
    peer, path = PEERS[spec["peer"]], Path(spec["model"])
    try:
        amount = share if peer.aims else spec.get("amounts", {}).get(f"{share:g}")
        if amount is None:
            amount = sought(peer.make, path, samples, share, out, spec["shape"])
        wall, cpu = time.perf_counter(), time.process_time()
        onnx.save(peer.make(path, samples, amount), out)
        return {"amount": amount, "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    except Exception as error:
        said = " ".join(str(error).split()) or "no message"
        return {"failed": said if isinstance(error, Unreached) else f"{type(error).__name__}: {said}"[:300]}


def main() -> None:
    """Do what the file says."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    with np.load(spec["calibration"]) as held:
        samples = {name: held[name] for name in held.files}
    told = []
    for share, out in zip(spec["shares"], spec["outs"], strict=True):
        told.append(done(spec, share, Path(out), samples) | {"memory": peak("self") / 2**20})
        Path(spec["told"]).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
