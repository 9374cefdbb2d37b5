"""Streams of random numbers that belong to a seed and a purpose."""

import numpy as np

from keras_arl.checks import check_at_least


def generator(seed, *purpose):
    """A generator of its own for each seed and purpose.

    The i-th number drawn depends on nothing else, so that it can belong to
    the i-th example.

    Args:
        seed: Non-negative integer.
        *purpose: Non-negative integers that keep streams of one seed apart,
            also from `numpy.random.default_rng(seed)`, from which the data
            may come.
    """
    seed = check_at_least("seed", seed, 0)
    first, *others = purpose
    sequence = np.random.SeedSequence([first, seed, *others])
    return np.random.Generator(np.random.PCG64(sequence))
