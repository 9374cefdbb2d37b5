"""The settings of the losses that robustness.py trains with."""

import functools

from keras_arl import losses

PUBLISHED = "published"
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


# What is compiled for a loss serves the same object alone.
@functools.cache
def loss(name, setting, many_classes):
    """A loss at a setting, both by name.

    Published for many classes is what CIFAR-100 was given.
    """
    if setting != PUBLISHED:
        return others(name, many_classes)[setting]
    if many_classes:
        return losses.get(name, "cifar100")
    # By the paper that it is from.
    return losses.get(name)


@functools.cache
def others(name, many_classes):
    """A loss at its other settings, a dictionary by their names.

    What was published for other datasets and, of losses that papers give one
    value for, others around it.
    """
    if name in _VALUES:
        argument, values = _VALUES[name]
        published = loss(name, PUBLISHED, many_classes).get_config()
        return {
            f"{argument}={value:g}": losses.get(name, **{argument: value})
            for value in values
            if value != published[argument]
        }
    used = "cifar100" if many_classes else "cifar10"
    found, seen = {}, [losses.published_settings(used).get(name)]
    for dataset in _DATASETS:
        settings = losses.published_settings(dataset).get(name)
        if settings not in seen:
            seen.append(settings)
            found[f"for {dataset}"] = losses.get(name, dataset)
    return found
