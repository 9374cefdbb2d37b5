"""Settings of the losses as published, by dataset.

Sources, each the authors' own programs where they are public: focal, SCE and
the combinations with MAE and RCE, Ma et al. 2020; the asymmetric losses and
their combinations with NCE, Zhou et al., ICML 2021 (for MNIST they give NCE the
weight 0); sparse regularisation, Zhou et al., ICCV 2021; active negative
losses, Ye et al. 2023 and 2024; joint asymmetric losses, Wang et al. 2025; DAL,
Li et al. 2023; JS, Englesson & Azizpour 2021; PHuber, Menon et al. 2020;
SuperLoss, Castells et al. 2020. Epsilon-softmax, logit clipping, LDR-KL, and
all losses on WebVision and Clothing1M that are none of these: the programs of
Wang et al. 2024 and 2025, whose RCE has A = log(1e-4).
"""

import copy


def _combined(alpha, beta, **passive):
    parts = {"passive": passive} if passive else {}
    return {"alpha": alpha, "beta": beta, **parts}


def _nearly_one_hot(alpha, beta, m):
    """Cross-entropy and focal loss with epsilon-softmax, and MAE."""
    focal = {"m": m, "loss": {"gamma": 0.1}}
    weights = {"alpha": alpha, "beta": beta}
    return {
        "focal+eps": focal,
        "ce+eps+mae": {**weights, "active": {"m": m}},
        "focal+eps+mae": {**weights, "active": focal},
    }


def _sparse(temperature, p, weight, growth, every=1, **loss):
    numbers = {"temperature": temperature, "p": p, "weight": weight}
    parts = {"loss": loss} if loss else {}
    return {**numbers, "growth": growth, "every": every, **parts}


# Of programs that clip labels at 1e-4.
_LOG_ZERO = -9.21
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
        "ce+sr": _sparse(0.1, 0.1, 4.0, 2.0, 5),
        "focal+sr": _sparse(0.1, 0.1, 4.0, 2.0, 5, gamma=0.5),
        "gce+sr": _sparse(0.5, 0.1, 3.0, 2.0, 5, q=0.01),
        "nce+nnce": _combined(1.0, 1.0),
        "nfl+nnfl": _combined(1.0, 1.0),
        "phuber_ce": {"tau": 10.0},
        "l1_regularization": {"nce+nnce": 1e-6, "nfl+nnfl": 1e-6},
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
        "ce+sr": _sparse(0.5, 0.1, 1.2, 1.03),
        "focal+sr": _sparse(0.5, 0.1, 1.2, 1.03, gamma=0.5),
        "gce+sr": _sparse(0.5, 0.1, 1.2, 1.03, q=0.01),
        "nce+nnce": _combined(5.0, 5.0),
        "nfl+nnfl": _combined(5.0, 5.0),
        "nce+nnce+er": {"weight": 2.0},
        "nce+amse": _combined(1.0, 1.0, a=30.0),
        "nfl+amse": _combined(1.0, 1.0, a=30.0),
        **_nearly_one_hot(0.5, 1.0, m=1e4),
        "phuber_ce": {"tau": 2.0},
        "ldr_kl": {"margin": 0.1, "temperature": 10.0},
        "ce+lc": {"norm": 1.0, "threshold": 1.0},
        "ce+sl": {"regularization": 1.0},
        "dal": {"q": 0.6, "end": 1.5},
        "l1_regularization": {
            "nce+nnce": 5e-5,
            "nfl+nnfl": 5e-5,
            "nce+nnce+er": 5e-5,
            "nce+amse": 5e-5,
            "nfl+amse": 5e-5,
        },
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
        "ce+sr": _sparse(0.5, 0.01, 10.0, 1.02),
        "focal+sr": _sparse(0.5, 0.01, 10.0, 1.02, gamma=0.5),
        "gce+sr": _sparse(0.5, 0.01, 10.0, 1.02, q=0.001),
        "nce+nnce": _combined(10.0, 1.0),
        "nfl+nnfl": _combined(10.0, 1.0),
        "nce+nnce+er": {"weight": 0.01},
        "nce+amse": _combined(5.0, 1.0, a=20.0),
        "nfl+amse": _combined(5.0, 1.0, a=20.0),
        **_nearly_one_hot(0.5, 1.0, m=1e4),
        "phuber_ce": {"tau": 10.0},
        "ldr_kl": {"margin": 0.1, "temperature": 1.0},
        "ce+lc": {"norm": 0.5, "threshold": 2.0},
        "ce+sl": {"regularization": 0.25},
        "dal": {"q": 0.6, "end": 1.5},
        "l1_regularization": {
            "nce+nnce": 5e-7,
            "nfl+nnfl": 5e-7,
            "nce+nnce+er": 5e-7,
            "nce+amse": 5e-6,
            "nfl+amse": 5e-6,
        },
    },
    "webvision": {
        "gce": {"q": 0.7},
        "sce": {"alpha": 10.0, "beta": 1.0, "log_zero": _LOG_ZERO},
        "agce": {"a": 1e-5, "q": 0.5},
        "nce+rce": _combined(50.0, 0.1, log_zero=_LOG_ZERO),
        "nce+agce": _combined(50.0, 0.1, a=2.5, q=3.0),
        "nce+nnce": _combined(20.0, 1.0),
        "nce+amse": _combined(50.0, 1.0, a=30.0),
        **_nearly_one_hot(0.015, 0.3, m=1e3),
        "js": {"weight": 0.1, "scaled": False},
        "ldr_kl": {"margin": 0.1, "temperature": 1.0},
        "ce+lc": {"norm": 1.2, "threshold": 1 / 1.2},
        "dal": {"q": 0.4, "end": 1.5},
        "l1_regularization": {"nce+nnce": 5e-6},
    },
    "clothing1m": {
        "gce": {"q": 0.6},
        "sce": {"alpha": 10.0, "beta": 1.0, "log_zero": _LOG_ZERO},
        "agce": {"a": 1e-5, "q": 0.5},
        "nce+rce": _combined(10.0, 1.0, log_zero=_LOG_ZERO),
        "nce+agce": _combined(50.0, 0.1, a=2.5, q=3.0),
        "nce+nnce": _combined(5.0, 0.1),
        "nce+amse": _combined(5.0, 0.1, a=5.0),
        **_nearly_one_hot(0.012, 0.1, m=1e3),
        "ldr_kl": {"margin": 0.1, "temperature": 1.0},
    },
}


def published_settings(dataset):
    """The settings that papers used on a dataset.

    `keras_arl.losses.get(name, dataset=dataset)` applies them. They are the
    numbers of the papers, for the papers' formulas. The programs of Wang et
    al. and Ma et al. compute MAE as 1 - p_y, half of it, and RCE with
    A = log(1e-4) instead of -4; to repeat what they ran, halve the `beta` of
    MAE and set `passive={"log_zero": -9.21}`, of `"sce"` `log_zero=-9.21`. All
    programs with a focal loss detach its focus, see `Focal`.

    Some papers choose by the kind and the rate of the noise. Of epsilon-softmax
    the settings here are those for CIFAR-N's human labels, of logit clipping
    those for little symmetric noise, of PHuber for CIFAR-100 the smaller of two
    (10 and 50). JS has no setting for CIFAR that does not depend on the noise.

    Args:
        dataset: `"mnist"`, `"cifar10"`, `"cifar100"`, `"webvision"` or
            `"clothing1m"`.

    Returns:
        A dictionary from the name of a loss to its arguments; and from
        `"l1_regularization"` to a dictionary from the name of a loss to the
        `delta` that it was trained with. For a loss that is missing nothing is
        published for this dataset alone; its defaults hold.

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
