"""Seeds that derive from one seed."""

import numpy as np


def derive_seeds(seed, count):
    """Independent seeds, a function of `seed`.

    Args:
        seed: Non-negative integer.
        count: How many to derive.

    Returns:
        A list of integers of 31 bits, which every backend takes.
    """
    state = np.random.SeedSequence(seed).generate_state(count)
    return [int(value >> 1) for value in state]
