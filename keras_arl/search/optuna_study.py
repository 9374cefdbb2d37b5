"""A search as a study of Optuna."""


def to_optuna(tuner, storage=None, study_name="loss_search"):
    """Exports a search as an Optuna study, which its dashboard shows.

    A candidate is a trial of the study: its parameters are its coefficients and
    its centre, its value the mean difference of its scores to cross-entropy's
    (without a baseline the mean score), and its intermediate values those of
    one task after the other. Needs `pip install 'keras-arl[optuna]'`.

    Args:
        tuner: A `LossTuner`, whose search need not be finished.
        storage: Storage of Optuna, such as `"sqlite:///search.db"`, which
            `optuna-dashboard sqlite:///search.db` shows. Defaults to `None`:
            in memory.
        study_name: Name of the study, of which there must be none in the
            storage yet. Defaults to `"loss_search"`.

    Returns:
        An `optuna.study.Study`.

    Raises:
        ImportError: If Optuna is not installed.
        ValueError: If no candidate has ended.

    Example:

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
    >>> tuner.search(verbose=0)
    >>> study = keras_arl.search.to_optuna(tuner)
    >>> sorted(study.best_params)[:3]
    ['center_p', 'center_y', 'theta_10']
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "`to_optuna` needs Optuna: pip install 'keras-arl[optuna]'"
        ) from error
    candidates = tuner.candidates()
    if not candidates:
        raise ValueError("There are no candidates to export yet.")
    names = tuner.oracle.space.names
    distributions = {
        name: optuna.distributions.FloatDistribution(
            min(row[name] for row in candidates),
            max(row[name] for row in candidates),
        )
        for name in names
    }
    study = optuna.create_study(
        storage=storage, study_name=study_name, direction="maximize"
    )
    states = optuna.trial.TrialState
    for row in candidates:
        has_failed = row["score"] is None
        baselines = [score or 0.0 for score in row["cross_entropy"]]
        study.add_trial(
            optuna.trial.create_trial(
                state=_state(states, row),
                value=None if has_failed else _value(row),
                params={name: row[name] for name in names},
                distributions=distributions,
                user_attrs={
                    name: row[name]
                    for name in ("phase", "generation", "candidate", "score")
                },
                intermediate_values={
                    task: score - baseline
                    for task, (score, baseline) in enumerate(
                        zip(row["scores"], baselines, strict=True)
                    )
                    if score is not None
                },
            )
        )
    return study


def _state(states, row):
    if row["dropped"]:
        return states.PRUNED
    return states.FAIL if row["score"] is None else states.COMPLETE


def _value(row):
    return row["score"] if row["gain"] is None else row["gain"]
