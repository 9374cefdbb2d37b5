"""A job of a search: plain values that any process can evaluate."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Job:
    """Some candidates of a generation on one of its tasks.

    Args:
        task_seed: Seed of the task.
        candidates: A tuple of vectors, each of which is a candidate loss.
        positions: Position of each candidate's trial in the generation.
        num_lost: How often a worker was lost with the job.
    """

    task_seed: int
    candidates: tuple[tuple[float, ...], ...]
    positions: tuple[int, ...]
    num_lost: int = 0

    def split(self, num_pieces):
        """The job in at most so many jobs of about one size, a list."""
        num_pieces = min(num_pieces, len(self.positions))
        return [
            dataclasses.replace(
                self,
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


def jobs_of(generation, done):
    """The jobs of a generation, one for each task.

    Args:
        generation: A `Generation`.
        done: Positions of the trials that have ended.

    Returns:
        A list of jobs without those trials.
    """
    num_tasks = len(generation.task_seeds)
    jobs = []
    for task, seed in enumerate(generation.task_seeds):
        chosen = [
            (position, tuple(candidate))
            for candidate, position in zip(
                generation.candidates,
                range(task, generation.size, num_tasks),
                strict=True,
            )
            if position not in done
        ]
        if chosen:
            positions, candidates = zip(*chosen, strict=True)
            jobs.append(Job(seed, candidates, positions))
    return jobs
