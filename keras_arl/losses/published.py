"""Settings of the losses as published, by dataset.

Sources, each the authors' own programs where they are public: focal, SCE and
the combinations with MAE and RCE, Ma et al. 2020; the asymmetric losses and
their combinations with NCE, Zhou et al., ICML 2021 (for MNIST they give NCE the
weight 0); sparse regularisation, Zhou et al., ICCV 2021.
"""

import copy


def _combined(alpha, beta, **passive):
    parts = {"passive": passive} if passive else {}
    return {"alpha": alpha, "beta": beta, **parts}


def _sparse(temperature, p, weight, **loss):
    parts = {"loss": loss} if loss else {}
    return {"temperature": temperature, "p": p, "weight": weight, **parts}


_PUBLISHED = {
    "mnist": {
        "focal": {"gamma": 0.5},
        "sce": {"alpha": 0.01, "beta": 1.0},
        "agce": {"a": 4.0, "q": 0.2},
        "aul": {"a": 3.0, "q": 0.1},
        "ael": {"a": 3.5},
        "nce+mae": _combined(1.0, 10.0),
        "nce+rce": _combined(1.0, 10.0),
        "nfl+mae": _combined(1.0, 10.0),
        "nfl+rce": _combined(1.0, 10.0),
        "nce+agce": _combined(0.0, 1.0, a=4.0, q=0.2),
        "nce+aul": _combined(0.0, 1.0, a=3.0, q=0.1),
        "nce+ael": _combined(0.0, 1.0, a=3.5),
        "ce+sr": _sparse(0.1, 0.1, 4.0),
        "focal+sr": _sparse(0.1, 0.1, 4.0, gamma=0.5),
        "gce+sr": _sparse(0.5, 0.1, 3.0, q=0.01),
        "sparse_regularization_schedule": {"growth": 2.0, "every": 5},
    },
    "cifar10": {
        "focal": {"gamma": 0.5},
        "sce": {"alpha": 0.1, "beta": 1.0},
        "agce": {"a": 0.6, "q": 0.6},
        "aul": {"a": 5.5, "q": 3.0},
        "ael": {"a": 2.5},
        "nce+mae": _combined(1.0, 1.0),
        "nce+rce": _combined(1.0, 1.0),
        "nfl+mae": _combined(1.0, 1.0),
        "nfl+rce": _combined(1.0, 1.0),
        "nce+agce": _combined(1.0, 4.0, a=6.0, q=1.5),
        "nce+aul": _combined(1.0, 4.0, a=6.3, q=1.5),
        "nce+ael": _combined(1.0, 4.0, a=5.0),
        "ce+sr": _sparse(0.5, 0.1, 1.2),
        "focal+sr": _sparse(0.5, 0.1, 1.2, gamma=0.5),
        "gce+sr": _sparse(0.5, 0.1, 1.2, q=0.01),
        "sparse_regularization_schedule": {"growth": 1.03, "every": 1},
    },
    "cifar100": {
        "focal": {"gamma": 0.5},
        "sce": {"alpha": 6.0, "beta": 0.1},
        "agce": {"a": 0.6, "q": 0.6},
        "aul": {"a": 5.5, "q": 3.0},
        "ael": {"a": 2.5},
        "nce+mae": _combined(10.0, 1.0),
        "nce+rce": _combined(10.0, 0.1),
        "nfl+mae": _combined(10.0, 1.0),
        "nfl+rce": _combined(10.0, 0.1),
        "nce+agce": _combined(10.0, 0.1, a=1.8, q=3.0),
        "nce+aul": _combined(10.0, 0.015, a=6.0, q=3.0),
        "nce+ael": _combined(10.0, 0.1, a=1.5),
        "ce+sr": _sparse(0.5, 0.01, 10.0),
        "focal+sr": _sparse(0.5, 0.01, 10.0, gamma=0.5),
        "gce+sr": _sparse(0.5, 0.01, 10.0, q=0.001),
        "sparse_regularization_schedule": {"growth": 1.02, "every": 1},
    },
}


def published_settings(dataset):
    """The settings that papers used on a dataset.

    `keras_arl.losses.get(name, dataset=dataset)` applies them. They are the
    numbers of the papers, for the papers' formulas. The programs of Wang et
    al. and Ma et al. compute MAE as 1 - p_y, half of it, and RCE with
    A = log(1e-4) instead of -4; to repeat what they ran, halve the `beta` of
    MAE and set `passive={"log_zero": -9.21}`, of `"sce"` `log_zero=-9.21`.

    Args:
        dataset: `"mnist"`, `"cifar10"` or `"cifar100"`.

    Returns:
        A dictionary from the name of a loss to its arguments, and from
        `"sparse_regularization_schedule"` to those of the callback. For a
        loss that is missing nothing is published for this dataset alone; its
        defaults hold.

    Raises:
        ValueError: If the dataset is none of them.

    Example:

    >>> keras_arl.losses.published_settings("cifar100")["sce"]
    {'alpha': 6.0, 'beta': 0.1}
    """
    if dataset not in _PUBLISHED:
        raise ValueError(
            f"Settings are published for {sorted(_PUBLISHED)}. "
            f"Received: dataset={dataset!r}"
        )
    return copy.deepcopy(_PUBLISHED[dataset])
