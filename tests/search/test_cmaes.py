import numpy as np
import pytest

from keras_arl.search.cmaes import CMAES


def test_global_generators_do_not_matter():
    def run(disturb):
        strategy = CMAES(np.zeros(5), 0.5, 8, seed=[0, 7])
        for _ in range(4):
            if disturb:
                np.random.seed(3)
            candidates = strategy.ask()
            strategy.tell(candidates, [-np.sum(x**2) for x in candidates])
        return strategy.mean

    np.testing.assert_array_equal(run(False), run(True))


def test_seed_zero_is_a_seed():
    def first(seed):
        return np.array(CMAES(np.zeros(5), 0.5, 8, seed).ask())

    np.testing.assert_array_equal(first([0, 0]), first([0, 0]))
    assert not np.array_equal(first([0, 0]), first([0, 1]))


@pytest.mark.parametrize("failed", [None, float("-inf")])
def test_failed_candidates_rank_last(failed):
    strategy = CMAES(np.zeros(2), 1.0, 8, seed=0)
    for _ in range(60):
        candidates = strategy.ask()
        # Without the failures the best would be at (2, 0), outside.
        fitness = [
            failed if x[0] > 1 else -np.sum((x - [2, 0]) ** 2)
            for x in candidates
        ]
        strategy.tell(candidates, fitness)
    assert strategy.mean == pytest.approx([1, 0], abs=0.05)


def test_constant_fitness_does_not_stop_it():
    strategy = CMAES(np.zeros(3), 1.0, 6, seed=0)
    for _ in range(60):
        strategy.tell(strategy.ask(), [0.0] * 6)
        assert "tolflatfitness" not in strategy.stopped
        assert "tolfun" not in strategy.stopped


def test_numbers_have_steps_of_their_own():
    sizes = [1.0, 0.01]
    strategy = CMAES(np.zeros(2), 0.5, 200, seed=0, step_sizes=sizes)
    spread = np.std(strategy.ask(), axis=0)
    assert spread == pytest.approx([0.5, 0.005], rel=0.2)
