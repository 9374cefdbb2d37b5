"""How the trials of a search ended, and what follows from it."""

import math

import numpy as np
from keras_tuner.engine.trial import TrialStatus

from keras_arl.search.schedule import SELECTION
from keras_arl.search.schedule import Schedule
from keras_arl.search.schedule import rank

_END = {
    "position": int,
    "status": str,
    "score": (float, type(None)),
    "message": (str, type(None)),
    "raised": bool,
}


class Record:
    """The stages of a search, and the ends of trials in the present one.

    Ends come in any order; CMA-ES is told of a generation once it is whole,
    candidate by candidate.

    Args:
        settings: What `CMAESOracle.settings` returns.
    """

    def __init__(self, settings):
        self._schedule = Schedule(settings)
        # By the trial's position in the present stage.
        self.ends = {}

    @property
    def stage(self):
        """The present `Stage`."""
        return self._schedule.stage

    @property
    def finished(self):
        """Whether the selection is complete."""
        return self.stage.phase == SELECTION and self._whole

    @property
    def _whole(self):
        return len(self.ends) == self.stage.size

    def add(self, end, journal):
        """Keeps the end of a trial of the present stage.

        Args:
            end: A dictionary with the trial's `position` in the stage, its
                `status`, `score` (`None` if it failed), `message`, and whether
                it `raised` an exception.
            journal: The `Journal` to write it to.

        Returns:
            Whether another stage begins.

        Raises:
            RuntimeError: If no candidate of a generation has a fitness and a
                trial raised an exception. The generation is then forgotten.
        """
        if not self.ends:
            journal.begin(self.stage)
        journal.append(self.stage, end)
        self.ends[end["position"]] = end
        if self._is_hopeless:
            first = next(end for end in self._in_order if end["raised"])
            self.ends = {}
            journal.forget(self.stage)
            raise RuntimeError(
                f"Every candidate of generation {self.stage.generation} failed "
                f"in some trial. The first exception:\n{first['message']}"
            )
        return self._tell_when_whole()

    def read(self, journal):
        """Takes the ends in a journal, stage by stage.

        Args:
            journal: The `Journal`.

        Yields:
            The ends of the stage that is then the present one, a list.

        Raises:
            ValueError: If the journal does not fit the settings.
        """
        while True:
            for end in journal.read_ends(self.stage):
                if not self._fits(end):
                    raise journal.damaged(self.stage, f"it holds {end}")
                self.ends[end["position"]] = end
            if self._is_hopeless:
                # The process ended before it forgot them.
                self.ends = {}
            yield list(self.ends.values())
            if not self._tell_when_whole():
                return

    def _fits(self, end):
        return (
            end.keys() == _END.keys()
            and all(isinstance(end[name], kind) for name, kind in _END.items())
            and 0 <= end["position"] < self.stage.size
            and end["position"] not in self.ends
            and end["status"] in (TrialStatus.COMPLETED, TrialStatus.FAILED)
            and (end["score"] is None) == (end["status"] == TrialStatus.FAILED)
            and (end["score"] is None or math.isfinite(end["score"]))
        )

    def _tell_when_whole(self):
        if self.stage.phase == SELECTION or not self._whole:
            return False
        self._schedule.tell(self.stage.fitness(self._scores()))
        self.ends = {}
        return True

    @property
    def _is_hopeless(self):
        # Divergence alone is not: other tasks and candidates come. And after
        # the selection nothing comes.
        return (
            self._whole
            and self.stage.phase != SELECTION
            and any(end["raised"] for end in self.ends.values())
            and not any(
                fitness is not None
                for fitness in self.stage.fitness(self._scores())
            )
        )

    @property
    def _in_order(self):
        return [self.ends[k] for k in range(self.stage.size)]

    def _scores(self):
        return [end["score"] for end in self._in_order]

    def history(self):
        """As `CMAESOracle.history`."""
        rows = []
        for generation, fitness in enumerate(self._schedule.fitness):
            valid = [value for value in fitness if value is not None]
            rows.append(
                {
                    "generation": generation,
                    "best": max(valid, default=math.nan),
                    "mean": float(np.mean(valid)) if valid else math.nan,
                    "failed": fitness.count(None),
                    "fitness": fitness,
                }
            )
        return rows

    def selection(self):
        """As `CMAESOracle.selection`, of a finished search."""
        rows = [
            {"name": name, "score": score, "vector": vector}
            for name, score, vector in zip(
                self._schedule.finalists(),
                self.stage.fitness(self._scores()),
                self.stage.candidates,
                strict=True,
            )
        ]
        return sorted(rows, key=lambda row: rank(row["score"]), reverse=True)

    def best(self):
        """As `CMAESOracle.best`, of a finished search."""
        winner = self.selection()[0]
        if winner["score"] is None:
            first = next(end for end in self._in_order if end["score"] is None)
            raise RuntimeError(
                f"Every finalist failed. The first one:\n{first['message']}"
            )
        return winner["vector"]
