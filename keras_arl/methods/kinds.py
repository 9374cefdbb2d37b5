"""What a method is: a loss, or what makes a learner of a model."""

import dataclasses
import functools
import inspect
import typing

import keras
import numpy as np

from keras_arl import learners
from keras_arl import losses
from keras_arl.learners.examples import example_of
from keras_arl.learners.losses import as_loss
from keras_arl.methods.learner_fit import check_meta_data


@dataclasses.dataclass(frozen=True)
class WithMetaData:
    """A method that also trains on a task's clean examples, as on the others.

    Beside learners that need clean examples it tells what these examples are
    worth to who has no such learner.

    Args:
        method: A loss or a learner, as `compare` takes it.

    Example:

    >>> methods = {
    ...     "CE": keras_arl.losses.CrossEntropy(),
    ...     "CE, with the clean examples": keras_arl.evaluation.WithMetaData(
    ...         keras_arl.losses.CrossEntropy()
    ...     ),
    ...     "L2B": keras_arl.learners.L2B,
    ... }
    """

    method: typing.Any

    def extended(self, task):
        """The task with its clean examples among the training examples."""
        check_meta_data(task, type(self).__name__)
        both = keras.tree.map_structure(
            lambda *arrays: np.concatenate(arrays), task.train, task.meta_data
        )
        return dataclasses.replace(task, train=both)


def checked(methods):
    """The methods of `compare`, a dictionary."""
    if not isinstance(methods, dict) or not methods:
        raise ValueError(
            "`methods` must be a dictionary of at least one method. "
            f"Received: methods={methods!r}"
        )
    for name, method in methods.items():
        if isinstance(method, learners.Learner):
            raise ValueError(
                "A learner is named by its class, since each training makes "
                "its own model: `keras_arl.learners.ELR`, or with settings "
                "`functools.partial(keras_arl.learners.ELR, weight=1.0)`. "
                f"Received: methods[{name!r}]={method!r}"
            )
    return methods


def is_learner(method):
    """Whether a method makes a learner of a model."""
    if isinstance(method, functools.partial):
        method = method.func
    return isinstance(method, type) and issubclass(method, learners.Learner)


def named(name, **kwargs):
    """The method of a name: of a learner's class, or of a loss.

    Args:
        name: A name of `keras_arl.learners`, or of a loss as
            `keras_arl.losses.get` takes it.
        **kwargs: Arguments of it, such as `from_logits`.
    """
    if is_learner(learner := getattr(learners, name, None)):
        return functools.partial(learner, **kwargs)
    return losses.get(name, **kwargs)


def published(name):
    """The arguments that `named` takes, as published, a dictionary."""
    if not is_learner(learner := getattr(learners, name, None)):
        return losses.get(name).get_config()
    parameters = inspect.signature(learner).parameters.values()
    return {
        each.name: each.default
        for each in parameters
        if each.default is not each.empty
    }


def base_loss(method):
    """What one sample costs, without memory: a loss itself, or a learner's."""
    if not is_learner(method):
        return method
    given = getattr(method, "keywords", {})
    return as_loss(given.get("loss"), given.get("from_logits"))


def expression(method):
    """A method in readable form."""
    if is_learner(method):
        method = example_of(method)
    if hasattr(method, "expression"):
        return method.expression()
    return repr(method)
