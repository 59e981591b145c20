"""Run the comparison and write OUT/results.json after every method; what is there already is not run again.

python -m compare SHARED OUT [--subjects NAME ...] [--peers NAME ...] [--limit SECONDS] [--no-zoo]
"""

import argparse
import json
import platform
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

from .measure import child, costs, points, right, time_left
from .peers import PEERS, Peer
from .subjects import SUBJECTS, Subject
from .zoo import cover

VERSIONS = ("onnx", "onnxruntime", "onnxsim", "torch", "torch-pruning", "torch-kirigami", "onnx2torch")


class Run:
    """The results so far, and where everything lies."""

    def __init__(self, out: Path, limit: float) -> None:
        self.out, self.limit, self.file = out, limit, out / "results.json"
        out.mkdir(parents=True, exist_ok=True)
        self.before: dict[str, Any] = {}
        empty: dict[str, Any] = {"rows": {}, "before": {}, "zoo": {}}
        self.found: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else empty
        self.found["versions"] = {name: version(name) for name in VERSIONS} | {"python": platform.python_version()}

    def save(self) -> None:
        """Write what was found."""
        self.file.write_text(json.dumps(self.found, indent=1) + "\n")

    def compare(self, subject: Subject, peer: Peer) -> None:
        """Run one method on one network and measure what it gives, unless that was done."""
        shares = subject.times if peer.aims == "latency" else subject.shares
        keys = [f"{subject.name}|{peer.name}|{share:g}" for share in shares]
        if all(key in self.found["rows"] for key in keys):
            return
        outs = [self.out / f"{key.replace('|', '-').replace(' ', '-')}.onnx" for key in keys]
        for key, share, out, told in zip(keys, shares, outs, self._made(subject, peer, shares, outs), strict=True):
            row = {"subject": subject.name, "peer": peer.name, "family": peer.family, "asked": share, **told}
            if "failed" not in row:
                row |= self._figures(subject, out)
            self.found["rows"][key] = row
            self.save()
            print(json.dumps(row), flush=True)

    def _made(self, subject: Subject, peer: Peer, shares: Sequence[float], outs: list[Path]) -> list[dict[str, Any]]:
        """Return how the method ended at each share, and what it took."""
        spec = {"peer": peer.name, "model": str(subject.model), "calibration": str(subject.calibration)}
        spec |= {"shape": subject.shape, "shares": shares, "outs": [str(out) for out in outs]}
        if peer.alike:
            rows = [self.found["rows"].get(f"{subject.name}|{peer.alike}|{share:g}", {}) for share in shares]
            spec["amounts"] = {f"{row['asked']:g}": row["amount"] for row in rows if "amount" in row}
        with tempfile.TemporaryDirectory() as folder:
            told = Path(folder) / "told.json"
            why = child("compare.job", spec | {"told": str(told)}, self.limit)
            found: list[dict[str, Any]] = json.loads(told.read_text()) if told.exists() else []
        return found + [{"failed": why or "ended early"}] * (len(shares) - len(found))

    def _figures(self, subject: Subject, out: Path) -> dict[str, Any]:
        """Measure a smaller model beside the original; say what fails where it does not run."""
        whole, (inputs, labels) = costs(subject.model, subject.shape), subject.unseen()
        if subject.name not in self.before:
            self.before[subject.name] = right(subject.model, inputs, labels)
        before = self.before[subject.name]
        self.found["before"][subject.name] = {"accuracy": 100 * before.mean(), "images": len(labels), **whole}
        try:
            left = costs(out, subject.shape)
            told = points(before, right(out, inputs, labels))
            time = time_left(subject.model, out, subject.shape)
        except Exception as error:  # whatever the yardsticks raise, of a model that another tool has written
            return {"failed": f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]}
        return {name: left[name] / whole[name] for name in ("macs", "parameters")} | told | {"time": time}


def main() -> None:
    """Measure what is asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python -m compare", description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--subjects", nargs="*", default=list(SUBJECTS))
    parser.add_argument("--peers", nargs="*", default=list(PEERS))
    parser.add_argument("--limit", type=float, default=600, help="seconds a method may take on a network")
    parser.add_argument("--no-zoo", action="store_true", help="leave out what each tool takes at all")
    given = parser.parse_args()
    run = Run(given.out, given.limit)
    if not given.no_zoo:
        cover(run.found["zoo"], run.save)
    made = [SUBJECTS[name](given.shared, given.out) for name in given.subjects]
    for subject, name in product(made, given.peers):
        run.compare(subject, PEERS[name])


if __name__ == "__main__":
    main()
