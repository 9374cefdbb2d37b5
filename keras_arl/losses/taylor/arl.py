"""ARL: the learned loss that the package ships."""

import pathlib

import keras

from keras_arl.losses.taylor import files
from keras_arl.losses.taylor.taylor_loss import TaylorLoss

_VERSIONS = (1, 2, 3)
_NUMBERS = ("coefficients", "center", "order", "class_aware")


@keras.saving.register_keras_serializable(package="keras_arl")
class ARL(TaylorLoss):
    """AutoRobust-Loss: a noise-robust loss found by search.

    A `TaylorLoss` whose coefficients come from a file beside this module, where
    their provenance stands too: command, commit, seed, versions, tasks, score
    and date (`ARL().provenance()`). They are scaled so that with ten classes
    the steepest pull on a logit is cross-entropy's, 1. It needs no clean data
    and no change of training.

    A saved model keeps the coefficients that it was trained with, whatever a
    later version of the package ships.

    Args:
        version: `1`, or `2` or `3` for the coefficients of later searches,
            which gain where each class is mistaken for a similar one, and lose
            in long trainings of wide networks at high learning rates; see
            examples/guides/arl.md. Defaults to `1`.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If there is no such version.

    Example:

    >>> model = keras.Sequential([keras.layers.Dense(3, "softmax")])
    >>> model.compile(optimizer="adam", loss=keras_arl.ARL())

    Reference:
        - Gao, Gouk & Hospedales, "Searching for Robustness: Loss Learning for
          Noisy Classification Tasks", ICCV 2021, arXiv 2103.00243
    """

    hyperparameters = TaylorLoss.hyperparameters

    def __init__(self, version=1, **kwargs):
        if version not in _VERSIONS:
            raise ValueError(
                f"`version` must be one of {_VERSIONS}. "
                f"Received: version={version!r}"
            )
        self.version = version
        content = files.read(self._file)
        shipped = {name: content[name] for name in _NUMBERS}
        # A saved loss brings the numbers that it was made with.
        super().__init__(**{**shipped, **kwargs})

    @property
    def _file(self):
        return pathlib.Path(__file__).with_name(f"arl_{self.version}.json")

    def provenance(self):
        """How the coefficients of this version were found.

        Returns:
            A dictionary; see `keras_arl.evaluation.provenance`.

        Example:

        >>> keras_arl.ARL().provenance()["seed"]
        3
        """
        return files.read(self._file)["provenance"]

    def get_config(self):
        return {"version": self.version, **super().get_config()}
