"""A search for a loss in JAX, optax and evosax alone, written for speed.

Seconds a trial on two quiet cores (AMD EPYC, JAX 0.10.2; medians of 7 trials,
5.6 of one):

|                                                  | MLP  | CNN  |
|--------------------------------------------------|------|------|
| one jitted step, in a Python loop                | 0.15 | 0.79 |
| the same, two candidates in two threads          | 0.12 | 0.57 |
| whole training one program, `conv` in its loop   |      | 5.6  |
| whole training one program, patches times matrix | 0.14 | 0.47 |
| the same, two candidates in two threads          | 0.11 | 0.45 |

The last row is what runs. XLA compiles a convolution within a loop to a slow
one on CPUs, so that `conv` pays only outside of it. In the last row's place,
nine products summed took 0.58; optax's `flatten` made both families slower.
"""

import concurrent.futures
import os
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import search_speed_tasks as shared
from jax import lax

from keras_arl import analysis
from keras_arl import losses
from keras_arl.losses.taylor import polynomial

_OPTIMIZER = optax.adam(shared.LEARNING_RATE, eps=1e-7)


def search(family, trials, popsize):
    """Searches by CMA-ES; returns when trials ended, and accuracies.

    The first time is that of the start. Candidates are trained as many at a
    time as there are cores, so that a generation's time is split evenly.
    """
    generations = -(-trials // popsize)
    for number in range(generations):
        shared.arrays(number)
    candidates = []
    accuracies = []

    ends = [time.perf_counter()]
    train = jax.jit(make_training(family))
    key = jax.random.key(0)
    strategy, params, state = make_strategy(key, popsize)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for number in range(generations):
            ask_key, tell_key, key = jax.random.split(
                jax.random.fold_in(key, number), 3
            )
            population, state = strategy.ask(ask_key, state, params)
            data = jax.device_put(shared.arrays(number))
            initial = jax.random.key(number)

            def accuracy(candidate, initial=initial, data=data):
                return float(train(candidate, initial, *data))

            waiting = list(population)
            scores = []
            if number == 0:
                # Alone, so that it is compiled once, and `tell` with it.
                scores.append(accuracy(waiting.pop(0)))
                strategy.tell(
                    tell_key, population, jnp.zeros(popsize), state, params
                )
                ends.append(time.perf_counter())
            scores += pool.map(accuracy, waiting)
            fitness = -jnp.asarray(scores)
            state, _ = strategy.tell(
                tell_key, population, fitness, state, params
            )
            jax.block_until_ready(state)
            ends += np.linspace(
                ends[-1], time.perf_counter(), len(waiting) + 1
            ).tolist()[1:]
            candidates += np.asarray(population).tolist()
            accuracies += scores
    check_trainable(candidates)
    return ends[: trials + 1], accuracies[:trials]


def make_strategy(key, popsize):
    """CMA-ES of evosax, its parameters, and its first state."""
    import evosax.algorithms

    mean = jnp.asarray(shared.start())
    strategy = evosax.algorithms.CMA_ES(popsize, mean)
    params = strategy.default_params.replace(std_init=shared.SPREAD)
    # Of weak types, some of which `tell` turns into others, it would have
    # `ask` and `tell` compiled again in the second generation.
    state = jax.tree.map(
        lambda x: jnp.asarray(x, x.dtype), strategy.init(key, mean, params)
    )
    return strategy, params, state


def check_trainable(candidates):
    """Raises if a candidate made its trainings shorter than the others'."""
    for vector in candidates:
        loss = losses.TaylorLoss(vector[:-2], vector[-2:], shared.ORDER)
        if not analysis.is_trainable(loss, shared.CLASSES):
            raise RuntimeError(f"a candidate cannot train: {loss.expression()}")


def make_training(family):
    """A function from a candidate, a key and data to the clean accuracy."""
    initialise, network = NETWORKS[family]

    def loss(params, candidate, x, y):
        return taylor_loss(candidate, network(params, x), y)

    def train(candidate, key, x, noisy, x_val, y_val):
        full = len(x) // shared.BATCH

        def step(carry, rows):
            params, moments = carry
            gradients = jax.grad(loss)(params, candidate, x[rows], noisy[rows])
            updates, moments = _OPTIMIZER.update(gradients, moments)
            return (optax.apply_updates(params, updates), moments), None

        def epoch(carry, key):
            rows = jax.random.permutation(key, len(x))
            head, rest = jnp.split(rows, [full * shared.BATCH])
            carry, _ = lax.scan(step, carry, head.reshape(full, shared.BATCH))
            return step(carry, rest) if len(rest) else (carry, None)

        init_key, key = jax.random.split(key)
        params = initialise(init_key)
        carry = (params, _OPTIMIZER.init(params))
        (params, _), _ = lax.scan(
            epoch, carry, jax.random.split(key, shared.EPOCHS)
        )
        return jnp.mean(jnp.argmax(network(params, x_val), -1) == y_val)

    return train


def taylor_loss(candidate, logits, labels):
    """The mean loss of a batch; a candidate is coefficients, then centre."""
    a, b = candidate[-2], candidate[-1]
    # A class has label 0 or 1: two polynomials in p alone.
    other, target = (
        [
            sum(
                candidate[k] * (label - b) ** j
                for k, (i, j) in enumerate(polynomial.exponents(shared.ORDER))
                if i == power
            )
            for power in range(1, shared.ORDER + 1)
        ]
        for label in (0.0, 1.0)
    )
    p = jax.nn.softmax(logits) - a
    labelled = jnp.take_along_axis(p, labels[:, None], axis=-1)[:, 0]
    correction = [t - o for t, o in zip(target, other, strict=True)]
    samples = horner(other, p).sum(-1) + horner(correction, labelled)
    return samples.mean()


def horner(coefficients, x):
    total = coefficients[-1] * x
    for coefficient in coefficients[-2::-1]:
        total = (total + coefficient) * x
    return total


def init_mlp(key):
    keys = jax.random.split(key)
    return [glorot(keys[0], 784, 256), glorot(keys[1], 256, 10)]


def mlp(params, x):
    x = jax.nn.relu(linear(params[0], x.reshape(len(x), -1)))
    return linear(params[1], x)


def init_cnn(key):
    keys = jax.random.split(key, 4)
    # Of a convolution, Keras counts a kernel's places among both fans.
    return [
        glorot(keys[0], 9 * 1, 16, fan_out=9 * 16),
        glorot(keys[1], 9 * 16, 32, fan_out=9 * 32),
        glorot(keys[2], 7 * 7 * 32, 64),
        glorot(keys[3], 64, 10),
    ]


def cnn(params, x):
    x = jax.nn.relu(convolution(params[0], x))
    x = jax.nn.relu(convolution(params[1], x))
    x = jax.nn.relu(linear(params[2], x.reshape(len(x), -1)))
    return linear(params[3], x)


def convolution(layer, x):
    """3x3 at stride 2, padded as "same", of images of even size."""
    count, size, _, channels = x.shape
    x = jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    patches = jnp.concatenate(
        [
            x[:, i : i + size : 2, j : j + size : 2]
            for i in range(3)
            for j in range(3)
        ],
        axis=-1,
    )
    # Two axes: a product over the last of four took 1.1 times as long.
    patches = patches.reshape(-1, 9 * channels)
    return linear(layer, patches).reshape(count, size // 2, size // 2, -1)


def linear(layer, x):
    return x @ layer["kernel"] + layer["bias"]


def glorot(key, rows, columns, fan_out=None):
    limit = (6 / (rows + (fan_out or columns))) ** 0.5
    kernel = jax.random.uniform(
        key, (rows, columns), minval=-limit, maxval=limit
    )
    return {"kernel": kernel, "bias": jnp.zeros(columns)}


NETWORKS = {"mlp": (init_mlp, mlp), "cnn": (init_cnn, cnn)}
