"""The values that a training starts from, apart from what is compiled."""

import dataclasses

import keras
import numpy as np

from keras_arl import backend
from keras_arl.tasks import build_model as build_network
from keras_arl.training import fitting
from keras_arl.training.convolutions import all_layers
from keras_arl.training.sameness import Signature
from keras_arl.training.sameness import signature


@dataclasses.dataclass(frozen=True)
class Start:
    """Initial values of a model's and its optimizer's variables.

    Args:
        model: A list of arrays, in the order of `model.variables`.
        optimizer: A list of arrays, in the order of `optimizer.variables`.
        signature: The model's `Signature`. Defaults to `None`: no other task
            has this model.
    """

    model: list[np.ndarray]
    optimizer: list[np.ndarray]
    signature: Signature | None = None

    @classmethod
    def of(cls, model):
        """The present values of a compiled model."""
        # Copies: the variables may get others.
        return cls(
            *(
                [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
                for variables in (model.variables, model.optimizer.variables)
            )
        )

    def assign_to(self, model):
        """Brings a compiled model to the start of a training."""
        for variables, values in (
            (model.variables, self.model),
            (model.optimizer.variables, self.optimizer),
        ):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)


def start_of(task):
    """Builds the model of a task for the values that it starts from.

    Args:
        task: A `Task`.

    Returns:
        A `Start`.
    """
    with backend.on_host():
        model = built_model(task, loss=None)
        start = Start.of(model)
        if task.architecture is None:
            return start
        inputs = None if _is_sampled(task) else _symbolic_inputs(task)
        return dataclasses.replace(start, signature=signature(model, inputs))


def _is_sampled(task):
    """Whether the model is a network of this package.

    Its outputs, a quarter of what a new task costs the host, tell no more than
    its configuration.
    """
    return getattr(task.build_model, "func", None) is build_network


def built_model(task, loss, rewrite=None, **kwargs):
    """Builds and compiles the model of a task, with all its variables.

    Args:
        task: A `Task`.
        loss: Anything that `model.compile` takes as a loss.
        rewrite: Function from the model to the one that is to be compiled.
        **kwargs: Further arguments of `model.compile`.

    Returns:
        A compiled `keras.Model`.
    """
    keras.utils.set_random_seed(task.seed)
    model = task.build_model()
    if not all(layer.built for layer in (model, *all_layers(model))):
        # On symbols, as `fit` does: a call on data would draw from its seeds,
        # and `build` makes no variables where a subclass does not define it.
        model(_symbolic_inputs(task), training=False)
    if rewrite is not None:
        model = rewrite(model)
    fitting.compile_model(model, task, loss, **kwargs)
    model.optimizer.build(model.trainable_variables)
    return model


def _symbolic_inputs(task):
    examples = task.train if task.in_memory else task.train.element_spec
    return keras.tree.map_structure(
        lambda array: keras.KerasTensor(
            (None, *tuple(array.shape)[1:]),
            keras.backend.standardize_dtype(array.dtype),
        ),
        examples[0],
    )
