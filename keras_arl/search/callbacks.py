"""What a user can have done while a search runs."""


class SearchCallback:
    """Base of what `LossTuner.search(callbacks=...)` calls.

    All methods do nothing here. They are called in the process that searches,
    after the results are safe in the search's directory: an exception in one
    ends `search`, and the same program continues it. A search that is
    continued calls only for what is new.

    Example:

    >>> class Printing(keras_arl.search.SearchCallback):
    ...     def on_generation_end(self, tuner, row):
    ...         print(f"generation {row['generation']} is done")
    >>> oracle = keras_arl.search.CMAESOracle(
    ...     generations=1,
    ...     popsize=4,
    ...     tasks_per_generation=1,
    ...     selection_tasks=1,
    ...     seed=0,
    ... )
    >>> tuner = keras_arl.search.LossTuner(
    ...     oracle, tasks=keras_arl.tasks.TaskFamily(), directory="results"
    ... )
    >>> tuner.search(verbose=0, callbacks=[Printing()])
    """

    def on_search_begin(self, tuner):
        """Called as the search begins or is continued.

        Args:
            tuner: The `LossTuner`.
        """

    def on_trial_end(self, tuner, row):
        """Called for each trial that has ended.

        Args:
            tuner: The `LossTuner`.
            row: Its row in `LossTuner.results()`.
        """

    def on_generation_end(self, tuner, row):
        """Called after each generation, the selection apart.

        Args:
            tuner: The `LossTuner`.
            row: Its row in `CMAESOracle.history()`.
        """

    def on_search_end(self, tuner):
        """Called once the search is finished.

        Args:
            tuner: The `LossTuner`.
        """
