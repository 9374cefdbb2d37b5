"""Whether a task's data, model and number of classes fit each other."""

import keras
import numpy as np

from keras_arl.noise.labels import check_labels

# What the softmax of a half-precision model may miss 1 by.
_ROUNDING = 0.02
_EXAMPLES = 64
_QUOTED = 2


class TaskError(ValueError):
    """Parts of a task do not fit each other."""


def check_task(task):
    """Checks what would otherwise be trained on, to no avail.

    It looks at all labels of data in memory, at the first batch of pipelines,
    and at what the untrained model predicts.

    Args:
        task: A `keras_arl.tasks.Task`. A pipeline of it is begun, and that may
            change what it yields next.

    Raises:
        TaskError: If a label is no class, the model's outputs are not as many
            as there are classes, or `from_logits` is wrong.
    """
    parts = {"train": task.train, "validation": task.validation}
    if not task.in_memory:
        parts = {name: next(iter(part)) for name, part in parts.items()}
    for name, (_, labels, *_) in parts.items():
        _check_labels(name, np.asarray(labels), task.num_classes)
    x = keras.tree.map_structure(lambda a: a[:_EXAMPLES], parts["train"][0])
    keras.utils.set_random_seed(task.seed)
    predictions = task.build_model()(x, training=False)
    if keras.tree.is_nested(predictions):
        raise TaskError(
            "The model of a task must have one output. Received: "
            f"{type(predictions).__name__}"
        )
    _check_predictions(
        keras.ops.convert_to_numpy(keras.ops.cast(predictions, "float32")), task
    )


def _check_labels(name, labels, num_classes):
    if labels.ndim < 2 or labels.shape[-1] != num_classes:
        try:
            check_labels(labels, num_classes)
        except ValueError as error:
            raise TaskError(f"{error}, in `{name}` of a task") from error
        return
    is_distribution = (labels >= 0).all(axis=-1) & (
        np.abs(labels.sum(axis=-1) - 1) < _ROUNDING
    )
    if not is_distribution.all():
        wrong = labels[~is_distribution][:_QUOTED].tolist()
        raise TaskError(
            f"Labels of shape {labels.shape} must be distributions over the "
            f"{num_classes} classes. Received: {wrong}, in `{name}` of a task"
        )


def _check_predictions(predictions, task):
    if predictions.ndim < 2 or predictions.shape[-1] != task.num_classes:
        raise TaskError(
            "The model of a task must have outputs of shape (batch, "
            f"{task.num_classes}), one for each class. "
            f"Received: outputs of shape {predictions.shape}"
        )
    sums = predictions.sum(axis=-1)
    are_probabilities = (
        predictions.min() >= 0 and np.abs(sums - 1).max() < _ROUNDING
    )
    if are_probabilities == task.from_logits:
        expected = (
            "logits" if task.from_logits else "probabilities, with sums of 1"
        )
        raise TaskError(
            f"With from_logits={task.from_logits} the model of a task must "
            f"return {expected}. Received: outputs from "
            f"{predictions.min():.3g} to {predictions.max():.3g} with sums "
            f"from {sums.min():.3g} to {sums.max():.3g}"
        )
