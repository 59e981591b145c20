"""Every criterion at three targets, with and without reconstruction: a table of docs/results.md.

    python benchmarks/criteria.py SHARED NETWORK [--images 2500] [--seeds 3] [--workers 4] [--criteria obs,random]
        [--targets 1.5x,2x,3x]

A criterion may be followed by what a greedy allocation divides its scores by, and by a step after which these are
estimated anew: fisher/macs, fisher/activations/0.1; fisher/latency measures on one thread. obs/gates chooses by gates
that are trained within the target. Seed s calibrates with 512 training images of its own. A cell is the mean top-1
drop in points over the seeds, and its standard deviation. SHARED is as in ``networks.py``. Validation images are only
measured on. The table is printed anew whenever a job is done, all criteria of one seed before the next.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory

import numpy as np
from networks import CIFAR, Array, images, outputs

from optimise_onnx.backends.devices import LOCAL, device
from optimise_onnx.backends.latency.execution import Execution
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cache import DiskCache
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.pipelines import EXACT, FIRST
from optimise_onnx.passes.plan import Plan
from optimise_onnx.passes.search.meet_target import MeetTarget
from optimise_onnx.passes.select.criteria import CRITERIA
from optimise_onnx.passes.syntax import join

TARGETS = {"1.5x": "macs=0.6667x", "2x": "macs=0.5x", "3x": "macs=0.3333x"}
FINISH = {"plain": "remove-channels", "reconstructed": "remove-channels,reconstruct"}
ALLOCATIONS = {"": "allocation=global", "gates": "allocation=gates"}
SAMPLES = 512


@dataclass(frozen=True)
class Job:
    """One criterion and seed on one network."""

    shared: Path
    network: str
    criterion: str
    seed: int
    count: int
    targets: tuple[str, ...]

    def pipeline(self, target: str, finish: str) -> str:
        """What selects, allocates and removes for one target."""
        criterion, per, step = [*self.criterion.split("/"), "", ""][:3]
        allocation = ALLOCATIONS.get(per, f"allocation=greedy,per={per}")
        propose = f"select-channels{{criterion={criterion}}},allocate{{target={TARGETS[target]},{allocation}}}"
        return join([MeetTarget(propose, finish, guard=False, step=float(step or 0))])


def drops(job: Job) -> dict[tuple[str, str], float]:
    """Return the drop in points by target, plain and reconstructed."""
    runner = OrtRunner(1)
    graph, _ = load(job.shared / "models" / f"{job.network}_cifar10.onnx", runner)
    feeds, _ = images("cifar10_train.npz", *CIFAR, SAMPLES * job.seed, SAMPLES)(job.shared)
    tested, labels = images("cifar10_val.npz", *CIFAR, 0, job.count)(job.shared)
    assert labels is not None
    with TemporaryDirectory() as folder:
        return _drops(job, graph, feeds, (tested, labels), DiskCache(Path(folder)))


def _drops(
    job: Job, graph: Graph, feeds: dict[str, Array], test: tuple[dict[str, Array], Array], cache: DiskCache
) -> dict[tuple[str, str], float]:
    local = device(LOCAL, Execution())
    context = Context(OrtRunner(1), graph, Calibration.from_arrays(feeds), job.seed, verify=False, cache=cache)
    context.devices = lambda _quantity: local
    PassManager.parse(f"{FIRST},{EXACT}").run(graph, context)
    context.original = graph.copy()
    before = accuracy(graph, *test)
    found = {}
    for target in job.targets:
        for kind, finish in FINISH.items():
            pruned, context.plan = graph.copy(), Plan()
            PassManager.parse(job.pipeline(target, finish)).run(pruned, context)
            found[target, kind] = before - accuracy(pruned, *test)
    return found


def accuracy(graph: Graph, tested: dict[str, Array], labels: Array) -> float:
    """Top-1 in percent."""
    return float((outputs(OrtRunner(1).session(graph), tested).argmax(1) == labels).mean() * 100)


def main() -> None:
    """Run all jobs and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("shared", type=Path)
    parser.add_argument("network")
    parser.add_argument("--images", type=int, default=2500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--criteria", default=",".join(CRITERIA))
    parser.add_argument("--targets", default=",".join(TARGETS))
    given = parser.parse_args()
    names, targets = given.criteria.split(","), tuple(given.targets.split(","))
    jobs = [
        Job(given.shared, given.network, name, seed, given.images, targets)
        for seed in range(given.seeds)
        for name in names
    ]
    found: dict[str, list[dict[tuple[str, str], float]]] = {name: [] for name in names}
    with ProcessPoolExecutor(given.workers) as pool:
        running = {pool.submit(drops, job): job for job in jobs}
        for done in as_completed(running):
            found[running[done].criterion].append(done.result())
            print(table(found, targets), flush=True)


def table(found: dict[str, list[dict[tuple[str, str], float]]], targets: tuple[str, ...]) -> str:
    """Markdown with the number of seeds done so far."""
    columns = [(target, kind) for target in targets for kind in FINISH]
    lines = ["| criterion | seeds | " + " | ".join(f"{target} {kind}" for target, kind in columns) + " |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for name, runs in found.items():
        cells = [cell([run[column] for run in runs]) for column in columns] if runs else []
        lines.append(f"| {name} | {len(runs)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(values: list[float]) -> str:
    """Mean and spread."""
    return f"{np.round(mean(values), 2):.2f} ± {stdev(values) if len(values) > 1 else 0:.2f}"


if __name__ == "__main__":
    main()
