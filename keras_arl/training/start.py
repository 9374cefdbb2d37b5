"""The values that a training starts from, apart from what is compiled."""

import dataclasses

import keras
import numpy as np

from keras_arl.training import fitting


@dataclasses.dataclass(frozen=True)
class Start:
    """Initial values of a model's and its optimizer's variables.

    Args:
        model: A list of arrays, in the order of `model.variables`.
        optimizer: A list of arrays, in the order of `optimizer.variables`.
    """

    model: list[np.ndarray]
    optimizer: list[np.ndarray]

    @classmethod
    def of(cls, model):
        """The present values of a compiled model."""
        return cls(
            [keras.ops.convert_to_numpy(v) for v in model.variables],
            [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables],
        )

    def check_fits(self, model):
        """Raises a `ValueError` unless a compiled model has such variables."""
        expected = [v.shape for v in (*self.model, *self.optimizer)]
        found = [
            tuple(variable.shape)
            for variable in (*model.variables, *model.optimizer.variables)
        ]
        if found != expected:
            raise ValueError(
                "Two tasks of one `architecture` must have the same model. "
                f"Received variables of shapes {found} and {expected}"
            )

    def assign_to(self, model):
        """Brings a compiled model to the start of a training."""
        self.check_fits(model)
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
    return Start.of(built_model(task, loss=None))


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
    if not model.built:
        # From shapes, as `fit` does: a call would draw from its seeds.
        model.build(_input_shape(task))
    if rewrite is not None:
        model = rewrite(model)
    fitting.compile_model(model, task, loss, **kwargs)
    model.optimizer.build(model.trainable_variables)
    return model


def _input_shape(task):
    examples = task.train if task.in_memory else task.train.element_spec
    return keras.tree.map_structure(
        lambda array: (None, *tuple(array.shape)[1:]), examples[0]
    )
