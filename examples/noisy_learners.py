"""The learners of clothing1m.py at their published settings; no program."""

# Of Clothing1M where there are any, else of CIFAR-10, else the defaults.
# ELR: of ELR+. ConfidenceBranch: without the estimated targets, which begin
# in epoch 60 of 400.
_SETTINGS = {
    "ELR": {"weight": 3.0, "beta": 0.7},
    "ARLMemory": {},
    "SELC": {},
    "Marvel": {},
    "ConfidenceBranch": {"penalty": 50.0, "reverse_weight": 0.1},
    "L2B": {"warmup_epochs": 0},
    "AdaptiveLoss": {"loss": "poly_soft"},
    "MetaWeightNet": {},
}
NAMES = list(_SETTINGS)


def wrapped(name, model, num_examples, epochs, loss=None):
    """A learner around a model that returns logits.

    Args:
        name: One of `NAMES`.
        model: A `keras.Model`.
        num_examples: Number of training examples.
        epochs: Number of epochs of the training.
        loss: Loss of one sample in the place of the published one, or `None`.
    """
    from keras_arl import learners

    settings = {**_SETTINGS[name], "from_logits": True}
    if name == "SELC":
        # The default is for longer trainings.
        settings["correction_epoch"] = max(epochs // 5, 1)
    if name in ("ELR", "ARLMemory", "SELC", "Marvel"):
        settings["num_examples"] = num_examples
    if loss is not None:
        settings["loss"] = loss
    return getattr(learners, name)(model, **settings)
