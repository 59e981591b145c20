"""Feed mutated models to the commands and count how they end: ``python benchmarks/fuzz.py --mutants 10000``.

Mutants are numbered; ``--first`` goes on where an earlier count stopped. Each command has 60 s and 4 GiB. Those that
end badly are printed as they come.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from fuzz.survey import Verdict, survey

_PIECE = 250


def judged(piece: range) -> list[Verdict]:
    """Judge a piece and print what ended badly."""
    found = list(survey(piece.start, piece.stop))
    for verdict in found:
        if verdict.bad:
            print(verdict, flush=True)
    return found


def main() -> int:
    """Return 1 when a mutant ended badly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    stop = given.first + given.mutants
    pieces = [range(start, min(start + _PIECE, stop)) for start in range(given.first, stop, _PIECE)]
    with ThreadPoolExecutor(given.workers) as pool:
        found = [verdict for piece in pool.map(judged, pieces) for verdict in piece]
    counts = Counter(verdict.code for verdict in found)
    slowest, largest = max(v.seconds for v in found), max(v.peak for v in found)
    print(
        f"{len(found)} mutants from {given.first}: "
        + ", ".join(f"{n} ended with {c}" for c, n in sorted(counts.items()))
    )
    print(f"longest {slowest:.1f} s, most memory of a process {largest / 2**20:.0f} MiB")
    return int(any(verdict.bad for verdict in found))


if __name__ == "__main__":
    sys.exit(main())
