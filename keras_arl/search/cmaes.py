"""pycma behind an interface that is deterministic and can be replayed."""

import cma
import numpy as np

# Fitness reaches pycma as ranks, so that its tests of stagnating or flat
# fitness values say nothing; those of the distribution itself stay on.
_NO_FITNESS_TESTS = {
    "tolfun": 0,
    "tolfunhist": 0,
    "tolflatfitness": np.inf,
    "tolstagnation": np.inf,
}


class CMAES:
    """CMA-ES by ask and tell, maximising; a seed determines every draw.

    pycma draws from NumPy's global generator by default, which the trainings
    between two generations reseed. Here it has a generator of its own.

    Args:
        x0: Initial mean.
        sigma0: Initial step size.
        popsize: Population size.
        seed: Non-negative integer.
        step_sizes: Factor of `sigma0` for each number. Defaults to `None`: 1.
    """

    def __init__(self, x0, sigma0, popsize, seed, step_sizes=None):
        rng = np.random.default_rng(seed)
        self._strategy = cma.CMAEvolutionStrategy(
            list(x0),
            sigma0,
            {
                "popsize": popsize,
                "randn": lambda *shape: rng.standard_normal(shape),
                "seed": np.nan,
                "verbose": -9,
                "verb_log": 0,
                **({} if step_sizes is None else {"CMA_stds": step_sizes}),
                **_NO_FITNESS_TESTS,
            },
        )

    @property
    def mean(self):
        """Mean of the current distribution."""
        return np.array(self._strategy.mean)

    @property
    def stopped(self):
        """Why pycma advises to stop: a dictionary, empty while it does not."""
        return dict(self._strategy.stop())

    def ask(self):
        """Returns the next generation, a list of vectors."""
        return self._strategy.ask()

    def tell(self, candidates, fitness):
        """Updates the distribution.

        Args:
            candidates: What `ask` returned.
            fitness: A number each, higher is better; `None` ranks last.
        """
        values = np.array(
            [-np.inf if f is None else f for f in fitness], dtype="float64"
        )
        # Equal fitness goes by the candidates' order, on every machine.
        ranks = np.empty(len(values))
        ranks[np.argsort(-values, kind="stable")] = np.arange(len(values))
        self._strategy.tell(candidates, ranks.tolist())
