"""What two trainings must have in common to share a compiled program."""

import collections.abc
import json
import weakref

import keras
import numpy as np

from keras_arl.losses import ClassificationLoss


def program_key(task, loss):
    """Names the program that trains a task with a loss.

    Args:
        task: A `Task`.
        loss: Anything hashable that `model.compile` takes as a loss.

    Returns:
        A tuple; equal for tasks of one `architecture` that differ in the values
        of their data, in seeds, in the learning rate or in the number of epochs
        alone, and for losses that differ in the numbers alone that their class
        declares (`keras_arl.losses.ClassificationLoss`).
    """
    return *task_key(task), loss_key(loss)


def task_key(task):
    """What `program_key` has of a task, a tuple."""
    architecture = task.architecture
    if architecture is None:
        # Not the task itself, which would keep its data alive.
        architecture = weakref.ref(task)
    return (
        architecture,
        keras.config.dtype_policy().name,
        _text(_without_names(keras.optimizers.serialize(_optimizer(task)))),
        task.batch_size,
        _data_key(task),
    )


def loss_key(loss):
    """What `program_key` has of a loss."""
    if not shares_programs(loss):
        return loss
    parts = loss.parts
    fed = {*loss.hyperparameters, *parts}
    config = {k: v for k, v in loss.get_config().items() if k not in fed}
    return type(loss), _text(config), *map(loss_key, parts.values())


def can_be_key(loss):
    """Whether a loss can be part of a key."""
    return isinstance(loss, collections.abc.Hashable)


def own_copy(loss):
    """The loss that a program is compiled with.

    Of losses that share a program it is a copy, whose numbers are variables
    that get the values of each.
    """
    if not shares_programs(loss):
        return loss
    own = type(loss).from_config(loss.get_config())
    own.is_moved = True
    assign_loss(own, loss)
    return own


def assign_loss(own, loss, epoch=None, epochs=None):
    """Gives the program's own loss the numbers of another.

    Args:
        own: What `own_copy` returned.
        loss: The other one.
        epoch: Number of an epoch, whose numbers it gets. Defaults to `None`:
            the present ones.
        epochs: Number of epochs of the training.
    """
    if own is not loss:
        for variable, value in zip(
            own.hyper_variables(),
            loss.hyper_values(epoch, epochs),
            strict=True,
        ):
            variable.assign(value)


def moves(loss):
    """Whether numbers of a loss move over a training."""
    return isinstance(loss, ClassificationLoss) and loss.moves


def loss_variables(own):
    """The variables of a program's own loss and of its parts, a list."""
    if shares_programs(own):
        return own.hyper_variables()
    return _present_variables(own)


def loss_values(loss, epochs):
    """What `loss_variables` are to be for a loss, a list of arrays.

    Args:
        loss: The loss.
        epochs: Number of epochs of the training. If numbers of the loss move,
            the first axis of each array is that of the epochs.
    """
    if shares_programs(loss):
        if not loss.moves:
            return loss.hyper_values()
        by_epoch = [loss.hyper_values(e, epochs) for e in range(epochs)]
        return [np.stack(values) for values in zip(*by_epoch, strict=True)]
    return [keras.ops.convert_to_numpy(v) for v in _present_variables(loss)]


def _present_variables(loss):
    variables = []
    for value in vars(loss).values():
        if isinstance(value, keras.Variable):
            variables.append(value)
        elif isinstance(value, keras.losses.Loss):
            variables += _present_variables(value)
    return variables


def shares_programs(loss):
    """Whether losses of its class that differ in numbers share a program."""
    # Whose configuration is known to be complete; that of another loss, such
    # as one of a subclass, need not tell one instance from the next.
    return (
        isinstance(loss, ClassificationLoss)
        and "hyperparameters" in vars(type(loss))
        and all(map(shares_programs, loss.parts.values()))
    )


def _optimizer(task):
    return keras.optimizers.get(task.optimizer)


def _without_names(config):
    """An optimizer's configuration but for names and a constant rate.

    Keras numbers the names as optimizers are made. A rate that is a number is a
    variable of the optimizer; a schedule is part of the program.
    """
    if not isinstance(config, dict):
        return config
    return {
        key: _without_names(value)
        for key, value in config.items()
        if key != "name"
        and not (key == "learning_rate" and isinstance(value, (int, float)))
    }


def _data_key(task):
    if not task.in_memory:
        return str((task.train.element_spec, task.validation.element_spec))
    forms = keras.tree.map_structure(
        lambda array: f"{array.dtype}{array.shape[1:]}",
        (task.train, task.validation),
    )
    return len(task.train[1]), str(forms)


def _text(config):
    return json.dumps(config, sort_keys=True)
