"""Adaptive robust losses: hyperparameters learned from clean examples."""

import keras
import numpy as np
from keras import ops

from keras_arl.backend import jvp
from keras_arl.checks import check_positive
from keras_arl.learners.virtual import VirtualStepLearner

# By the loss's class; those of the authors' later program, and our choice.
_BOUNDS = {
    "GCE": {"q": (0.01, 1.0)},
    "SCE": {"alpha": (0.0, 20.0), "beta": (0.0, 20.0)},
    "PolySoft": {"threshold": (0.1, 20.0), "d": (1.01, 20.0)},
    "BiTempered": {"t1": (0.0, 0.99), "t2": (1.01, 5.0)},
}


@keras.saving.register_keras_serializable(package="keras_arl")
class AdaptiveLoss(VirtualStepLearner):
    """Adaptive robust loss: a loss whose numbers are learned meanwhile.

    A robust loss has numbers that decide how robust it is, such as the q of
    generalised cross-entropy. Here they are moved after each step, so that a
    plain step with learning rate r on the noisy batch would have lowered the
    cross-entropy of a clean batch. With h the numbers, theta the weights and L
    the mean of the loss,

    ```
    theta' = theta - r * gradient of L(theta; h)
    h     <- h - m * gradient by h of the clean cross-entropy at theta'(h)
    theta <- the optimizer's step on L(theta; h)
    ```

    after which h is clipped to its bounds. One step ahead is a short horizon:
    it favours losses that fit faster, and q tends to fall; a lower bound on it
    is a remedy. The authors find that the gain is in the joint path, not in
    the numbers that it ends with. A step has the passes of four plain ones and
    took 2.7 times as long on a CPU. With `meta_every=10` it has those of 1.3;
    but with convolutions on JAX and a CPU it took 3.7 times as long, since XLA
    computes convolutions within a condition slowly there.

    It logs each number under its name.

    Args:
        model: `keras.Model` with one output of shape `(n, C)`.
        loss: `"gce"`, `"sce"`, `"bi_tempered"`, `"poly_soft"`, or any loss of
            this package with `hyperparameters`. Those of a loss given by name
            begin at the package's defaults. Defaults to `"gce"`.
        meta_learning_rate: The m, above 0. Defaults to `None`: r, the present
            learning rate, so that h freezes with the model's schedule.
        meta_every: Steps from one update of h to the next. Defaults to `1`, as
            in the paper; the authors' later program has 10.
        bounds: Dictionary from the name of a number to (low, high), for a
            loss of a composed one `"part.name"`. Defaults to `None`: the
            following, which also hold for what a dictionary does not name: q
            of GCE in [0.01, 1]; alpha and beta of SCE in [0, 20]; threshold and
            d of PolySoft in [0.1, 20] and [1.01, 20]; t1 and t2 of BiTempered
            in [0, 0.99] and [1.01, 5]. Other numbers are not learned.
            The paper's could not be read: the first three are those of the
            authors' later program, with 0.1 for 0, the last is our choice.
        warmup_epochs: Epochs before h moves. Defaults to `0`.
        forward_mode: See `L2B`. Defaults to `True`.
        **kwargs: `from_logits` and `name`, see `Learner`.

    Raises:
        ValueError: If an argument is out of range, or no number has bounds.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> learner = keras_arl.learners.AdaptiveLoss(model, from_logits=True)
    >>> learner.compile(keras.optimizers.SGD(0.1))
    >>> x = np.eye(2)[[0, 1, 0, 1]]
    >>> history = learner.fit(
    ...     x, np.array([0, 1, 0, 0]), epochs=2, verbose=0,
    ...     meta_data=(np.eye(2), np.array([0, 1])),
    ... )
    >>> list(learner.hyperparameters)
    ['q']
    >>> learner.learned_loss().q == learner.hyperparameters["q"]
    True

    Reference:
        - Shu et al., "Learning Adaptive Loss for Robust Learning with Noisy
          Labels", arXiv 2002.06482
    """

    def __init__(
        self,
        model,
        loss="gce",
        meta_learning_rate=None,
        meta_every=1,
        bounds=None,
        warmup_epochs=0,
        forward_mode=True,
        **kwargs,
    ):
        super().__init__(
            model,
            loss=loss,
            meta_every=meta_every,
            warmup_epochs=warmup_epochs,
            forward_mode=forward_mode,
            **kwargs,
        )
        if meta_learning_rate is not None:
            check_positive("meta_learning_rate", meta_learning_rate)
        self.meta_learning_rate = meta_learning_rate
        self.bounds = _checked_bounds(self.base_loss, bounds)
        every = zip(
            _paths(self.base_loss),
            self.base_loss.hyper_variables(),
            strict=True,
        )
        self._fed = [v for path, v in every if path in self.bounds]
        # The learner's own, since those of a loss are not saved with a model,
        # nor handed to a step of JAX.
        self._numbers = [
            self._state(
                path.replace(".", "_"),
                shape=tuple(variable.shape),
                initializer=keras.initializers.Constant(
                    ops.convert_to_numpy(variable)
                ),
            )
            for path, variable in zip(self.bounds, self._fed, strict=True)
        ]
        self.finish_init()

    @property
    def hyperparameters(self):
        """The present numbers, a dictionary by name."""
        values = [ops.convert_to_numpy(number) for number in self._numbers]
        return {
            path: float(str(value)) if value.ndim == 0 else value.tolist()
            for path, value in zip(self.bounds, values, strict=True)
        }

    def learned_loss(self):
        """A plain loss with the present numbers."""
        loss = type(self.base_loss).from_config(self.base_loss.get_config())
        for path, value in self.hyperparameters.items():
            setattr(*_owner(loss, path), value)
        return loss

    def phi(self):
        return [number.value for number in self._numbers]

    def losses_for(self, parameters, labels, outputs):
        with keras.StatelessScope(
            state_mapping=list(zip(self._fed, parameters, strict=True))
        ):
            return self.per_sample(self.base_loss, labels, outputs)

    def slopes_for(self, parameters, labels, outputs, tangents):
        _, slopes = jvp(
            lambda outputs: self.losses_for(parameters, labels, outputs[0]),
            [outputs],
            [tangents],
        )
        return slopes

    def update(self, gradients):
        rate = self.meta_learning_rate
        rate = self.learning_rate if rate is None else rate
        for (low, high), number, gradient in zip(
            self.bounds.values(), self._numbers, gradients, strict=True
        ):
            moved = ops.clip(number.value - rate * gradient, low, high)
            number.assign(moved)

    def end_epoch(self, epoch):
        numbers = {
            path: value
            for path, value in self.hyperparameters.items()
            if np.ndim(value) == 0
        }
        return {**super().end_epoch(epoch), **numbers}

    def get_config(self):
        return {
            **super().get_config(),
            "meta_learning_rate": self.meta_learning_rate,
            "bounds": self.bounds,
        }


def _owner(loss, path):
    """The loss that has a number, of itself or one of its parts."""
    *parts, name = path.split(".")
    for part in parts:
        loss = loss.parts[part]
    return loss, name


def _paths(loss):
    """The names of the numbers of a loss and of its parts."""
    yield from loss.hyperparameters
    for part, inner in loss.parts.items():
        for path in _paths(inner):
            yield f"{part}.{path}"


def _checked_bounds(loss, given):
    """The bounds of the numbers that are learned; the others have none."""
    given = dict(given or {})
    bounds = {}
    for path in _paths(loss):
        owner, name = _owner(loss, path)
        known = _BOUNDS.get(type(owner).__name__, {}).get(name)
        limits = given.pop(path, known)
        if limits is None:
            continue
        low, high = limits
        value = np.asarray(getattr(owner, name))
        if not (low < high and np.all(low <= value) and np.all(value <= high)):
            raise ValueError(
                f"The bounds of {path!r} must hold its initial value {value}. "
                f"Received: {(low, high)}"
            )
        bounds[path] = (low, high)
    if given:
        raise ValueError(
            "`bounds` must name numbers of the loss, "
            f"{list(_paths(loss))}. Received: {list(given)}"
        )
    if not bounds:
        raise ValueError(
            f"No bounds are known for the numbers of {loss!r}, "
            f"{list(_paths(loss))}. Pass `bounds`, a dictionary from the name "
            "of each that is to be learned to (low, high)."
        )
    return bounds
