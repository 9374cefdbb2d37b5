"""A search for a loss by `jax.vmap` over candidates and tasks, by hand.

What a user with a GPU would write in JAX, optax and evosax alone: a generation,
all its candidates on all its tasks, is one compiled program.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import search_speed_tasks as shared
from search_speed_evosax import check_trainable
from search_speed_evosax import make_strategy
from search_speed_evosax import make_training


def search(family, trials, popsize, tasks):
    """Searches by CMA-ES; returns when trials ended, and accuracies.

    The first time is that of the start. The trials of a generation end
    together.
    """
    generations = -(-trials // (popsize * tasks))
    for number in range(generations * tasks):
        shared.arrays(number)
    accuracies, candidates = [], []

    ends = [time.perf_counter()]
    of_candidates = jax.vmap(make_training(family), (0, None, *[None] * 4))
    train = jax.jit(jax.vmap(of_candidates, (None, 0, *[0] * 4)))
    key = jax.random.key(0)
    strategy, params, state = make_strategy(key, popsize)
    for number in range(generations):
        ask_key, tell_key, key = jax.random.split(
            jax.random.fold_in(key, number), 3
        )
        population, state = strategy.ask(ask_key, state, params)
        seeds = range(number * tasks, (number + 1) * tasks)
        data = map(np.stack, zip(*map(shared.arrays, seeds), strict=True))
        keys = jnp.stack([jax.random.key(seed) for seed in seeds])
        scores = train(population, keys, *jax.device_put([*data]))
        state, _ = strategy.tell(
            tell_key, population, -scores.mean(0), state, params
        )
        jax.block_until_ready(state)
        ends += [time.perf_counter()] * scores.size
        accuracies += np.asarray(scores).T.ravel().tolist()
        candidates += np.asarray(population).tolist()
    check_trainable(candidates)
    return ends[: trials + 1], accuracies[:trials]
