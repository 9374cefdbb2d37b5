"""The candidates of a search as a table, of that of its trials."""

import math

import numpy as np

from keras_arl.search.generation import DROPPED
from keras_arl.search.generation import mean_gain

# Of the table, those that are no numbers of the candidate's loss.
COLUMNS_OF_CANDIDATES = (
    *("phase", "generation", "candidate"),
    *("scores", "cross_entropy", "score", "gain", "dropped"),
)


def candidates_of(rows, space, sizes):
    """The table that `LossTuner.candidates` returns.

    Args:
        rows: What `LossTuner.results` returns.
        space: The `SearchSpace` of the search.
        sizes: Number of tasks of a candidate, a dictionary by phase.
    """
    groups = {}
    for row in rows:
        key = row["phase"], row["generation"], row["candidate"]
        groups.setdefault(key, []).append(row)
    return [
        _candidate(group, space)
        for (phase, *_), group in groups.items()
        if len(group) == sizes[phase]
    ]


def best_by_generation(candidates):
    """The candidate with the highest score of each generation, a list."""
    best = {}
    for row in candidates:
        if row["phase"] != "search" or row["score"] is None:
            continue
        present = best.setdefault(row["generation"], row)
        if row["score"] > present["score"]:
            best[row["generation"]] = row
    return list(best.values())


def _candidate(rows, space):
    scores = [row["score"] for row in rows]
    baselines = [row["cross_entropy"] for row in rows]
    has_failed = None in scores
    gain = math.nan if has_failed else mean_gain(scores, baselines)
    return {
        **{
            key: rows[0][key]
            for key in ("phase", "generation", "candidate", *space.names)
        },
        "scores": scores,
        "cross_entropy": baselines,
        "dropped": any(row["message"] == DROPPED for row in rows),
        "score": None if has_failed else float(np.mean(scores)),
        "gain": None if math.isnan(gain) else gain,
    }
