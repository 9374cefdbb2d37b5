"""How the trainings of a generation are shared out among jobs."""

import pytest

from keras_arl.search.job import Job
from keras_arl.search.job import merged


def jobs(num_tasks, num_candidates=3):
    return [
        Job(
            (100 + task,) * num_candidates,
            tuple((float(k),) for k in range(num_candidates)),
            tuple(k * num_tasks + task for k in range(num_candidates)),
        )
        for task in range(num_tasks)
    ]


def trainings(some_jobs):
    """Position, candidate and task's seed of each training, in order."""
    return sorted(
        (position, candidate, seed)
        for job in some_jobs
        for seed, pairs in job.by_task.items()
        for position, candidate in pairs
    )


@pytest.mark.parametrize(
    ("num_jobs", "expected"), [(1, 1), (2, 2), (5, 5), (9, 5)]
)
def test_merged_jobs_hold_each_training_once(num_jobs, expected):
    found = merged(jobs(5), num_jobs)
    assert len(found) == expected
    assert trainings(found) == trainings(jobs(5))


def test_pieces_of_a_merged_job_keep_each_trainings_task():
    (whole,) = merged(jobs(4), 1)
    assert len(whole.by_task) == 4
    for pieces in (whole.split(5), whole.lost()):
        assert trainings(pieces) == trainings(jobs(4))
    assert {piece.num_lost for piece in whole.lost()} == {1}
