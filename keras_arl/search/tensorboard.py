"""A search in TensorBoard, written without TensorFlow."""

import io
import pathlib
import time

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from keras_arl.analysis import plot_losses
from keras_arl.losses import ARL
from keras_arl.losses import CrossEntropy
from keras_arl.methods.kinds import base_loss
from keras_arl.search.callbacks import SearchCallback
from keras_arl.search.candidates import best_by_generation


class TensorBoard(SearchCallback):
    """Writes a search for TensorBoard, a generation at a time.

    `tensorboard --logdir DIRECTORY` then shows, under HParams, each candidate's
    coefficients, its `score` and its `gain`, the difference to cross-entropy on
    the same tasks; under Time Series the fitness, and under Images the best
    candidate's loss, by generation.

    Args:
        directory: A directory of its own.
        num_classes: Number of classes that losses are drawn for. Defaults to
            `10`.

    Example:

    >>> callback = keras_arl.search.TensorBoard("logs")
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
    >>> tuner.search(verbose=0, callbacks=[callback])

    What has ended without the callback is written by

    >>> callback.on_search_end(tuner)
    """

    def __init__(self, directory, num_classes=10):
        self._directory = pathlib.Path(directory)
        self._num_classes = num_classes
        self._written = set()

    def on_search_begin(self, tuner):
        self._write(tuner)

    def on_generation_end(self, tuner, row):
        self._write(tuner)

    def on_search_end(self, tuner):
        self._write(tuner)

    def _write(self, tuner):
        """Writes what this object has not written yet."""
        oracle = tuner.oracle
        candidates = [
            row
            for row in tuner.candidates()
            # An unfinished generation may lack cross-entropy's scores.
            if row["generation"] <= oracle.generation or oracle.finished
        ]
        for row in candidates:
            run = (
                f"{row['phase']}-{row['generation']:03d}"
                f"-candidate-{row['candidate']:03d}"
            )
            self._write_events(run, 0, lambda row=row: _of_candidate(row))
        best = {
            row["generation"]: row for row in best_by_generation(candidates)
        }
        for row in oracle.history():
            number = row["generation"]
            self._write_events(
                "generations",
                number,
                lambda row=row, number=number: self._of_generation(
                    tuner, row, best.get(number)
                ),
            )

    def _of_generation(self, tuner, row, best):
        summary = _scalars(
            **{f"fitness/{name}": row[name] for name in ("best", "mean")},
            **{"fitness/cross_entropy": row["baseline"]},
        )
        if best is not None:
            vector = [best[name] for name in tuner.oracle.space.names]
            losses = {
                "best of the generation": base_loss(
                    tuner.oracle.space.to_method(vector)
                ),
                "ARL": ARL(),
                "CE": CrossEntropy(),
            }
            figure = plot_losses(losses, self._num_classes)
            picture = io.BytesIO()
            figure.savefig(picture, format="png", dpi=80)
            width, height = map(round, 80 * figure.get_size_inches())
            summary.value.add(
                tag="loss",
                image=Summary.Image(
                    encoded_image_string=picture.getvalue(),
                    width=width,
                    height=height,
                    colorspace=4,
                ),
            )
        return [(row["generation"], summary)]

    def _write_events(self, run, number, summaries):
        """Writes a file of its own: TensorBoard reads on in the next one."""
        path = self._directory / run / f"events.out.tfevents.{number:010d}"
        if path in self._written:
            return
        now = time.time()
        file = io.BytesIO()
        records = RecordWriter(file)
        events = [Event(wall_time=now, file_version="brain.Event:2")]
        events += [
            Event(wall_time=now, step=step, summary=summary)
            for step, summary in summaries()
        ]
        for event in events:
            records.write(event.SerializeToString())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.getvalue())
        self._written.add(path)


def _of_candidate(row):
    """What is told of a candidate, pairs of step and `Summary`."""
    skipped = ("score", "gain", "scores", "cross_entropy", "dropped")
    values = {name: row[name] for name in row if name not in skipped}
    run = f"{row['phase']} {row['generation']}, candidate {row['candidate']}"
    return [
        (0, _hyperparameters(run, values)),
        (0, _scalars(score=row["score"], gain=row["gain"])),
    ]


def _hyperparameters(run, values):
    """A `Summary` of a run's hyperparameters.

    As the plugin's own `api.hparams_pb` makes it, which imports TensorFlow.
    """
    session = plugin_data_pb2.SessionStartInfo(
        group_name=run, start_time_secs=time.time()
    )
    for name, value in values.items():
        if isinstance(value, str):
            session.hparams[name].string_value = value
        else:
            session.hparams[name].number_value = value
    summary = Summary()
    summary.value.add(
        tag=metadata.SESSION_START_INFO_TAG,
        metadata=metadata.create_summary_metadata(
            plugin_data_pb2.HParamsPluginData(session_start_info=session)
        ),
        tensor=metadata.NULL_TENSOR,
    )
    return summary


def _scalars(**values):
    """A `Summary` of those numbers that there are."""
    summary = Summary()
    for tag, value in values.items():
        if value is not None:
            summary.value.add(tag=tag, simple_value=value)
    return summary
