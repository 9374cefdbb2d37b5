"""The training recipes of robustness.py: optimizers, and what goes with them.

The newer losses were published with SGD, an L1 penalty on all weights and the
norm of the gradient clipped; what a loss is worth must not hang on these.
"""

import functools

import keras

from keras_arl import losses

# By name, the default learning rate.
TRAININGS = {
    # As the study was until now.
    "adam": 1e-3,
    "adam_l1": 1e-3,
    # The field's own for CIFAR-10: momentum, cosine to 0, weight decay; with
    # the L1 penalty in the place of weight decay.
    "sgd": 0.01,
    "sgd_l1": 0.01,
}
# Published for CIFAR-10 and, with JAL, for CIFAR-100.
_DELTA, _DELTA_OF_MANY_CLASSES = 5e-5, 5e-6
_NORM = 5.0
_MOMENTUM = 0.9
# Keras's decay is no part of the momentum, which makes the published 1e-4 ten
# times as much.
_WEIGHT_DECAY = 1e-4 / (1 - _MOMENTUM)


def has_penalty(problem):
    """Whether there are an L1 penalty and a norm clip."""
    return problem.training.endswith("_l1")


def optimizer(problem, num_train):
    """The optimizer of a problem, on a number of training examples."""
    clip = _NORM if has_penalty(problem) else None
    if problem.training.startswith("adam"):
        return keras.optimizers.Adam(
            problem.learning_rate, global_clipnorm=clip
        )
    steps = problem.epochs * -(-num_train // problem.batch_size)
    return keras.optimizers.SGD(
        keras.optimizers.schedules.CosineDecay(problem.learning_rate, steps),
        momentum=_MOMENTUM,
        weight_decay=None if clip else _WEIGHT_DECAY,
        global_clipnorm=clip,
    )


def with_penalty(build_model, problem):
    """What builds the model of a problem, with its L1 penalty if it has one."""
    if not has_penalty(problem):
        return build_model
    many = problem.has_many_classes
    delta = _DELTA_OF_MANY_CLASSES if many else _DELTA
    return functools.partial(_penalised, build_model, delta)


def _penalised(build_model, delta):
    model = build_model()
    losses.l1_regularization(model, delta)
    return model
