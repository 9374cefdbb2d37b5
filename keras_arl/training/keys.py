"""What two trainings must have in common to share a compiled program."""

import collections.abc
import json
import weakref

import keras

from keras_arl.losses import ARL
from keras_arl.losses import TaylorLoss


def program_key(task, loss):
    """Names the program that trains a task with a loss.

    Args:
        task: A `Task`.
        loss: Anything hashable that `model.compile` takes as a loss.

    Returns:
        A tuple; equal for tasks of one `architecture` that differ in the values
        of their data, in seeds, in the learning rate or in the number of epochs
        alone, and for losses that differ in the coefficients of a `TaylorLoss`
        alone.
    """
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
        _loss_key(loss),
    )


def can_be_key(loss):
    """Whether a loss can be part of a key."""
    return isinstance(loss, collections.abc.Hashable)


def own_copy(loss):
    """The loss that a program is compiled with.

    Of losses that share a program it is a copy, which gets the values of each.
    """
    if _shares_programs(loss):
        return type(loss).from_config(loss.get_config())
    return loss


def assign_loss(own, loss):
    """Gives the program's own loss the coefficients of another."""
    if own is not loss and _shares_programs(loss):
        own.assign(loss.coefficients, loss.center)


def loss_variables(loss):
    """All variables of a loss and of the losses that it is made of, a list."""
    variables = []
    for value in vars(loss).values():
        if isinstance(value, keras.Variable):
            variables.append(value)
        elif isinstance(value, keras.losses.Loss):
            variables += loss_variables(value)
    return variables


def loss_values(loss):
    """The values of `loss_variables`, a list of arrays."""
    return [keras.ops.convert_to_numpy(v) for v in loss_variables(loss)]


def _shares_programs(loss):
    # Whose configuration is known to be complete; that of another loss need
    # not tell one instance from the next.
    return type(loss) in (TaylorLoss, ARL)


def _loss_key(loss):
    if not _shares_programs(loss):
        return loss
    config = {**loss.get_config(), "coefficients": None, "center": None}
    return type(loss), _text(config)


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
