"""The settings of the losses and learners that robustness.py trains with."""

import functools

from keras_arl import evaluation
from keras_arl import learners
from keras_arl import losses

_DATASETS = ("mnist", "cifar10", "cifar100")
# Where papers give one value, or no paper's value is for small sets.
_VALUES = {
    "focal": ("gamma", (0.5, 1.0, 2.0, 5.0)),
    "gce": ("q", (0.1, 0.3, 0.5, 0.9)),
    "hard_bootstrapping": ("beta", (0.5, 0.95)),
    "label_smoothing": ("label_smoothing", (0.05, 0.2, 0.5)),
    "nfl": ("gamma", (0.1, 2.0)),
    "soft_bootstrapping": ("beta", (0.5, 0.8)),
    "taylor_ce": ("order", (3, 4, 6)),
}

# Numbers of epochs are the published share of a training, of 20 epochs here:
# 10 of 300 for L2B; SELC's is our choice, a fifth. With Adam at 1e-3 the
# product of AdaptiveLoss's two rates is the published one, 0.1 times 0.1.
_LEARNERS = {
    "ELR": (learners.ELR, {}),
    "Marvel": (learners.Marvel, {}),
    "L2B": (learners.L2B, {"warmup_epochs": 1}),
    "ConfidenceBranch": (learners.ConfidenceBranch, {}),
    "SELC": (learners.SELC, {"correction_epoch": 4}),
    "AdaptiveLoss": (learners.AdaptiveLoss, {"meta_learning_rate": 10.0}),
    "MetaWeightNet": (learners.MetaWeightNet, {}),
    "ARLMemory": (learners.ARLMemory, {}),
}
_LEARNERS_OF_MANY_CLASSES = {"ELR": {"weight": 7.0, "beta": 0.9}}
_VALUES_OF_LEARNERS = {"ELR": ("beta", (0.3, 0.5, 0.9))}
# Cross-entropy that has what learners with clean examples have.
_ABLATION = "ce_with_clean"
LEARNERS = (*_LEARNERS, _ABLATION)


def learning(names, many_classes, with_others=False):
    """Learners, and their ablation, by name.

    Args:
        names: Some of `LEARNERS`.
        many_classes: Whether the published setting is CIFAR-100's.
        with_others: Whether learners have other settings, too.
    """
    found = {}
    for name in names:
        if name == _ABLATION:
            found[name] = evaluation.WithMetaData(losses.get("ce"))
            continue
        learner, settings = _LEARNERS[name]
        if many_classes:
            settings = settings | _LEARNERS_OF_MANY_CLASSES.get(name, {})
        found[name] = functools.partial(learner, **settings)
        if with_others and name in _VALUES_OF_LEARNERS:
            argument, values = _VALUES_OF_LEARNERS[name]
            for value in values:
                if value != settings.get(argument):
                    found[f"{name} {argument}={value:g}"] = functools.partial(
                        learner, **settings | {argument: value}
                    )
    return found


def ordinary():
    """The names of the losses that need nothing but their name."""
    return [
        name
        for name in losses.names()
        # It is for a model that another loss has trained before.
        if name != "truncated_gce" and _is_complete(name)
    ]


def _is_complete(name):
    try:
        losses.get(name)
    except TypeError:
        return False
    return True


def methods(names, many_classes, with_others=False):
    """Losses by name and, but for the published one, setting.

    Args:
        names: Names of losses.
        many_classes: Whether the published setting is CIFAR-100's.
        with_others: Whether losses have other settings, too: what was published
            for other datasets and, of losses that papers give one value for,
            others around it.
    """
    found = {name: published(name, many_classes) for name in names}
    if with_others:
        for name in names:
            for setting, loss in others(name, many_classes).items():
                found[f"{name} {setting}"] = loss
    return found


def published(name, many_classes):
    """A loss at the setting of the paper that it is from."""
    return losses.get(name, "cifar100" if many_classes else None)


def others(name, many_classes):
    """A loss at its other settings, a dictionary by their names."""
    if name in _VALUES:
        argument, values = _VALUES[name]
        usual = published(name, many_classes).get_config()[argument]
        return {
            f"{argument}={value:g}": losses.get(name, **{argument: value})
            for value in values
            if value != usual
        }
    used = "cifar100" if many_classes else "cifar10"
    found, seen = {}, [losses.published_settings(used).get(name)]
    for dataset in _DATASETS:
        settings = losses.published_settings(dataset).get(name)
        if settings not in seen:
            seen.append(settings)
            found[f"for {dataset}"] = losses.get(name, dataset)
    return found
