"""A job of a search: plain values that any process can evaluate."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Job:
    """Some trainings of a generation.

    Args:
        task_seeds: The seed of each one's task.
        candidates: A tuple of vectors, each of which is a candidate,
            `None` for cross-entropy, the baseline, or names of other methods.
        positions: Position of each training in the generation.
        num_lost: How often a worker was lost with the job.
    """

    task_seeds: tuple[int, ...]
    candidates: tuple[tuple[float, ...] | str | None, ...]
    positions: tuple[int, ...]
    num_lost: int = 0

    @property
    def by_task(self):
        """Pairs (position, candidate) of each task's seed, a dictionary."""
        pairs = {}
        for seed, candidate, position in zip(
            self.task_seeds, self.candidates, self.positions, strict=True
        ):
            pairs.setdefault(seed, []).append((position, candidate))
        return pairs

    def split(self, num_pieces):
        """The job in at most so many jobs of about one size, a list."""
        num_pieces = min(num_pieces, len(self.positions))
        return [
            dataclasses.replace(
                self,
                task_seeds=self.task_seeds[k::num_pieces],
                candidates=self.candidates[k::num_pieces],
                positions=self.positions[k::num_pieces],
            )
            for k in range(num_pieces)
        ]

    def lost(self):
        """What is to be done after a worker was lost with the job.

        Its candidates, one by one: which of them ended the worker is unknown.

        Returns:
            A list of jobs.
        """
        again = dataclasses.replace(self, num_lost=self.num_lost + 1)
        return again.split(len(self.positions))


@dataclasses.dataclass(frozen=True)
class Result:
    """How the trial of a candidate on a task ended.

    Args:
        score: The accuracy, or `None` if the trial failed.
        message: Why it failed, or what else is to be said of it.
        raised: Whether an exception is the reason, a divergence apart.
    """

    score: float | None
    message: str = ""
    raised: bool = False


def jobs_of(generation, positions):
    """The jobs of a generation, one for each task.

    Args:
        generation: A `Generation`.
        positions: Positions of the trainings to do, in order.

    Returns:
        A list of jobs.
    """
    by_task = {}
    for position in positions:
        task = position % len(generation.task_seeds)
        by_task.setdefault(task, []).append(position)
    return [
        Job(
            (generation.task_seeds[task],) * len(chosen),
            tuple(generation.candidate(position) for position in chosen),
            tuple(chosen),
        )
        for task, chosen in sorted(by_task.items())
    ]


def merged(jobs, num_jobs):
    """The jobs put together in at most so many, a list."""
    num_jobs = min(num_jobs, len(jobs))
    return [_sum(jobs[k::num_jobs]) for k in range(num_jobs)]


def _sum(jobs):
    return Job(
        *(
            tuple(value for job in jobs for value in getattr(job, name))
            for name in ("task_seeds", "candidates", "positions")
        )
    )
