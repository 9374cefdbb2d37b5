"""The learned loss with memory that the package ships."""

import pathlib

import keras

from keras_arl.learners.files import arguments_of
from keras_arl.learners.files import read
from keras_arl.learners.taylor_memory import TaylorMemory

_FILE = pathlib.Path(__file__).with_name("arl_memory.json")


@keras.saving.register_keras_serializable(package="keras_arl")
class ARLMemory(TaylorMemory):
    """ARL with a memory: a learner for noisy labels, found by search.

    It is a `TaylorMemory`: for each example it keeps t, the moving average of
    the predictions p, and trains with

    ```
    L = l(y, p) + weight * (max over c of t_c)^power
                * log(1 - sum over c of t_c * p_c)
    ```

    where l is a `TaylorLoss`. An example that was fitted before is pulled to
    its label harder than one that never was; `expression()` prints the numbers,
    which come from `arl_memory.json` beside this module, and `provenance()`
    says how they were found. It needs no clean data.

    A saved learner keeps the numbers that it was trained with, whatever a later
    version of the package ships.

    Args:
        model: `keras.Model` with one output of shape `(n, C)`.
        from_logits: Whether the model's output is logits. Defaults to `None`:
            probabilities.
        **kwargs: `num_examples` and `name`, see `Learner`.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> learner = keras_arl.learners.ARLMemory(model, from_logits=True)
    >>> learner.compile("adam", metrics=["accuracy"])
    >>> x, y = np.eye(2)[[0, 1, 0, 1]], np.array([0, 1, 0, 0])
    >>> history = learner.fit(x, y, epochs=2, verbose=0)
    >>> indices, scores = learner.suspects(1)

    Reference:
        - Liu et al., "Early-Learning Regularization Prevents Memorization of
          Noisy Labels", NeurIPS 2020, arXiv 2007.00151
        - Gao, Gouk & Hospedales, "Searching for Robustness: Loss Learning for
          Noisy Classification Tasks", ICCV 2021, arXiv 2103.00243
    """

    fed_numbers = TaylorMemory.fed_numbers

    def __init__(self, model, from_logits=None, **kwargs):
        shipped = arguments_of(
            read(_FILE), _FILE, from_logits=bool(from_logits)
        )
        # A saved learner brings the numbers that it was made with.
        arguments = {**shipped, "from_logits": from_logits, **kwargs}
        super().__init__(model, **arguments)

    def provenance(self):
        """How the numbers that ship were found.

        Returns:
            A dictionary; see `keras_arl.evaluation.provenance`.

        Example:

        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
        >>> keras_arl.learners.ARLMemory(model).provenance()["seed"]
        1
        """
        return read(_FILE)["provenance"]
