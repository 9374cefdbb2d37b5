"""Streams of random numbers that belong to a seed and a purpose."""

import numbers

import numpy as np


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
    if (
        not isinstance(seed, numbers.Integral)
        or isinstance(seed, bool)
        or seed < 0
    ):
        raise ValueError(
            f"`seed` must be a non-negative integer. Received: seed={seed!r}"
        )
    first, *others = purpose
    sequence = np.random.SeedSequence([first, int(seed), *others])
    return np.random.Generator(np.random.PCG64(sequence))
