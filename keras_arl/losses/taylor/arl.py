"""ARL: the learned loss that the package ships."""

import pathlib

import keras

from keras_arl.losses.taylor import files
from keras_arl.losses.taylor.taylor_loss import TaylorLoss

_ARL_FILE = pathlib.Path(__file__).with_name("arl.json")


@keras.saving.register_keras_serializable(package="keras_arl")
class ARL(TaylorLoss):
    """AutoRobust-Loss: a noise-robust loss found by search.

    A `TaylorLoss` whose coefficients come from `arl.json` beside this module,
    where their provenance stands too: command, commit, seed, versions, tasks,
    score and date (`keras_arl.losses.arl_provenance()`). They are scaled so
    that with ten classes the steepest pull on a logit is cross-entropy's, 1.
    It needs no clean data and no change of training.

    A saved model keeps the coefficients that it was trained with, whatever a
    later version of the package ships.

    Args:
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Example:

    >>> model = keras.Sequential([keras.layers.Dense(3, "softmax")])
    >>> model.compile(optimizer="adam", loss=keras_arl.ARL())

    Reference:
        - Gao, Gouk & Hospedales, "Searching for Robustness: Loss Learning for
          Noisy Classification Tasks", ICCV 2021, arXiv 2103.00243
    """

    hyperparameters = TaylorLoss.hyperparameters

    def __init__(self, **kwargs):
        shipped = files.read(_ARL_FILE)
        super().__init__(
            coefficients=shipped["coefficients"],
            center=shipped["center"],
            order=shipped["order"],
            class_aware=shipped["class_aware"],
            **kwargs,
        )

    @classmethod
    def from_config(cls, config):
        is_own = {"coefficients", "center", "order", "class_aware", "shifted"}
        loss = cls(**{k: v for k, v in config.items() if k not in is_own})
        loss._set_polynomial(**{k: v for k, v in config.items() if k in is_own})
        return loss


def arl_provenance():
    """How the shipped coefficients were found.

    Returns:
        A dictionary; see `keras_arl.evaluation.provenance`.

    Example:

    >>> keras_arl.losses.arl_provenance()["seed"]
    3
    """
    return files.read(_ARL_FILE)["provenance"]
