"""NSGA-II over levels: error, cost and size at once (arrays only; the algorithm is pymoo's, loaded when it is used).

Deb, Pratap, Agarwal and Meyarivan, A fast and elitist multiobjective genetic algorithm: NSGA-II, IEEE Transactions on
Evolutionary Computation 6(2), 2002.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...ir.errors import UsageError
from .cost_model import Floats, Ints

Judged = tuple[float, float, float]
_CHANGED = 0.2  # of the levels, in what the first generation has besides the seeds
_BEYOND = 1e9  # stands for the error of what costs too much and is not run


@dataclass(frozen=True)
class Evolution:
    """``counts`` (V,): how many levels each variable has. ``population`` candidates for ``generations``.

    ``cost`` gives of levels (V,) the share of what may be spent, and the size; ``error`` is only asked within that.
    """

    counts: Ints
    cost: Callable[[Ints], tuple[float, float]]
    error: Callable[[Ints], float]
    population: int
    generations: int
    progress: Callable[[float], None] = lambda _: None
    known: dict[bytes, Judged] = field(default_factory=dict)

    def judged(self, levels: Ints) -> Judged:
        """Return error, share of what may be spent, and size, each candidate once."""
        key = levels.tobytes()
        if key not in self.known:
            self.progress(min(len(self.known) / (self.population * self.generations), 1.0))
            share, size = self.cost(levels)
            self.known[key] = (self.error(levels) if share <= 1 else _BEYOND), share, size
        return self.known[key]

    def best(self, seeds: Ints, rng: np.random.Generator) -> Ints | None:
        """Return the levels of least error within what may be spent, from ``seeds`` (S, V) on; None where none are.

        Raises UsageError where pymoo is missing.
        """
        self._evolve(self._first(seeds, rng), int(rng.integers(2**31)))
        within = [(judged, key) for key, judged in self.known.items() if judged[1] <= 1]
        return np.frombuffer(min(within)[1], np.int64) if within else None

    def _first(self, seeds: Ints, rng: np.random.Generator) -> Ints:
        """Fill the first generation up with seeds of which some levels are one higher or lower."""
        rows = seeds[rng.integers(len(seeds), size=max(self.population - len(seeds), 0))]
        steps = rng.choice([-1, 1], rows.shape) * (rng.random(rows.shape) < _CHANGED)
        return np.concatenate([seeds[: self.population], np.clip(rows + steps, 0, self.counts - 1)])

    def _evolve(self, first: Ints, seed: int) -> None:
        try:
            from pymoo.algorithms.moo.nsga2 import NSGA2
            from pymoo.core.problem import ElementwiseProblem
            from pymoo.operators.crossover.ux import UniformCrossover
            from pymoo.operators.mutation.pm import PM
            from pymoo.operators.repair.rounding import RoundingRepair
            from pymoo.optimize import minimize
        except ImportError as error:
            raise UsageError("a search needs pymoo", hint="pip install 'optimise-onnx[search]'") from error
        outer = self

        class Task(ElementwiseProblem):  # type: ignore[misc]
            """What pymoo minimises."""

            def __init__(self) -> None:
                super().__init__(n_var=len(outer.counts), n_obj=3, n_ieq_constr=1, xl=0, xu=outer.counts - 1, vtype=int)

            def _evaluate(self, x: Ints, out: dict[str, Floats], *_: object, **__: object) -> None:
                found = outer.judged(np.asarray(x, np.int64))
                out["F"], out["G"] = np.array(found), np.array([found[1] - 1])

        algorithm = NSGA2(
            self.population,
            sampling=first,
            crossover=UniformCrossover(),
            mutation=PM(prob_var=max(1.5 / len(self.counts), 0.05), eta=10, vtype=float, repair=RoundingRepair()),
            eliminate_duplicates=True,
        )
        minimize(Task(), algorithm, ("n_gen", self.generations), seed=seed)
