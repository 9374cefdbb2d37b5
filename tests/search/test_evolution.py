import numpy as np
import pytest

from keras_arl.search.evolution import Evolution


def test_global_generators_do_not_matter():
    def run(disturb):
        evolution = Evolution(np.zeros(5), 0.5, 8, seed=[0, 7])
        for _ in range(4):
            if disturb:
                np.random.seed(3)
            candidates = evolution.ask()
            evolution.tell(candidates, [-np.sum(x**2) for x in candidates])
        return evolution.mean

    np.testing.assert_array_equal(run(False), run(True))


def test_seed_zero_is_a_seed():
    def first(seed):
        return np.array(Evolution(np.zeros(5), 0.5, 8, seed).ask())

    np.testing.assert_array_equal(first([0, 0]), first([0, 0]))
    assert not np.array_equal(first([0, 0]), first([0, 1]))


@pytest.mark.parametrize("failed", [None, float("-inf")])
def test_failed_candidates_rank_last(failed):
    evolution = Evolution(np.zeros(2), 1.0, 8, seed=0)
    for _ in range(60):
        candidates = evolution.ask()
        # Without the failures the best would be at (2, 0), outside.
        fitness = [
            failed if x[0] > 1 else -np.sum((x - [2, 0]) ** 2)
            for x in candidates
        ]
        evolution.tell(candidates, fitness)
    assert evolution.mean == pytest.approx([1, 0], abs=0.05)


def test_constant_fitness_does_not_stop_it():
    evolution = Evolution(np.zeros(3), 1.0, 6, seed=0)
    for _ in range(60):
        evolution.tell(evolution.ask(), [0.0] * 6)
        assert "tolflatfitness" not in evolution.stopped
        assert "tolfun" not in evolution.stopped
