"""Losses by name."""

import keras

from keras_arl.losses.active_passive import ActivePassive
from keras_arl.losses.asymmetric import AEL
from keras_arl.losses.asymmetric import AGCE
from keras_arl.losses.asymmetric import AMSE
from keras_arl.losses.asymmetric import AUL
from keras_arl.losses.bi_tempered import BiTempered
from keras_arl.losses.bootstrapping import HardBootstrapping
from keras_arl.losses.bootstrapping import SoftBootstrapping
from keras_arl.losses.composition import SHARED
from keras_arl.losses.correction import BackwardCorrection
from keras_arl.losses.correction import ForwardCorrection
from keras_arl.losses.cross_entropy import CrossEntropy
from keras_arl.losses.dal import DAL
from keras_arl.losses.entropy_regularization import EntropyRegularization
from keras_arl.losses.epsilon_softmax import EpsilonSoftmax
from keras_arl.losses.focal import Focal
from keras_arl.losses.gce import GCE
from keras_arl.losses.gce import TruncatedGCE
from keras_arl.losses.jensen_shannon import JS
from keras_arl.losses.ldr_kl import LDRKL
from keras_arl.losses.logit_clipping import LogitClipping
from keras_arl.losses.mae import MAE
from keras_arl.losses.normalized import NCE
from keras_arl.losses.normalized import NFL
from keras_arl.losses.normalized import NNCE
from keras_arl.losses.normalized import NNFL
from keras_arl.losses.phuber import PHuberCE
from keras_arl.losses.phuber import PHuberGCE
from keras_arl.losses.poly_soft import PolySoft
from keras_arl.losses.published import published_settings
from keras_arl.losses.sce import RCE
from keras_arl.losses.sce import SCE
from keras_arl.losses.sparse_regularization import SparseRegularization
from keras_arl.losses.super_loss import SuperLoss
from keras_arl.losses.taylor.arl import ARL
from keras_arl.losses.taylor.taylor_loss import TaylorLoss
from keras_arl.losses.taylor_cross_entropy import TaylorCrossEntropy

# Each with the arguments in which it differs from its class's defaults.
_SINGLE = {
    "ael": (AEL, {}),
    "agce": (AGCE, {}),
    "amse": (AMSE, {}),
    "arl": (ARL, {}),
    "arl_2": (ARL, {"version": 2}),
    "aul": (AUL, {}),
    "backward_correction": (BackwardCorrection, {}),
    "bi_tempered": (BiTempered, {}),
    "ce": (CrossEntropy, {}),
    "dal": (DAL, {}),
    "focal": (Focal, {}),
    "forward_correction": (ForwardCorrection, {}),
    "gce": (GCE, {}),
    "hard_bootstrapping": (HardBootstrapping, {}),
    "js": (JS, {}),
    "label_smoothing": (CrossEntropy, {"label_smoothing": 0.1}),
    "ldr_kl": (LDRKL, {}),
    "mae": (MAE, {}),
    "nce": (NCE, {}),
    "negative_label_smoothing": (CrossEntropy, {"label_smoothing": -0.4}),
    "nfl": (NFL, {}),
    "nnce": (NNCE, {}),
    "nnfl": (NNFL, {}),
    "phuber_ce": (PHuberCE, {}),
    "phuber_gce": (PHuberGCE, {}),
    "poly_soft": (PolySoft, {}),
    "rce": (RCE, {}),
    "sce": (SCE, {}),
    "soft_bootstrapping": (SoftBootstrapping, {}),
    "taylor": (TaylorLoss, {}),
    "taylor_ce": (TaylorCrossEntropy, {}),
    "truncated_gce": (TruncatedGCE, {}),
}
# Losses of a loss, which stand behind it.
_WRAPPERS = {
    "eps": EpsilonSoftmax,
    "er": EntropyRegularization,
    "lc": LogitClipping,
    "sl": SuperLoss,
    "sr": SparseRegularization,
}
# Those that papers report; `get` composes any others too.
_COMBINED = [
    *(f"{a}+{p}" for a in ("nce", "nfl") for p in ("mae", "rce")),
    *(f"{a}+{p}" for a in ("nce", "nfl") for p in ("agce", "aul", "ael")),
    *("nce+nnce", "nfl+nnfl", "nce+nnce+er", "nce+amse", "nfl+amse"),
    *(f"{loss}+eps{rest}" for loss in ("ce", "focal") for rest in ("", "+mae")),
    *(f"{loss}+sr" for loss in ("ce", "focal", "gce")),
    *("ce+lc", "ce+sl"),
]


def names():
    """The names of all losses of this package, for `get`.

    `"backward_correction"` and `"forward_correction"` need a `transition`,
    `"taylor"` its `coefficients`.

    Returns:
        A list of strings: the single losses, then the combinations that papers
        report. `get` composes others too.

    Example:

    >>> "gce" in keras_arl.losses.names()
    True
    """
    return [*_SINGLE, *_COMBINED]


def get(identifier, dataset=None, **kwargs):
    """Returns a loss by name.

    Names joined by "+" are read from left to right: "a+b" is the
    `ActivePassive` of the losses named a and b, and these put the loss before
    them into another one:

    * `"eps"`: `EpsilonSoftmax`
    * `"er"`: `EntropyRegularization`
    * `"lc"`: `LogitClipping`
    * `"sl"`: `SuperLoss`
    * `"sr"`: `SparseRegularization`

    Combinations that papers have names for are ANL-CE, `"nce+nnce"`, ANL-FL,
    `"nfl+nnfl"`, JAL-CE, `"nce+amse"`, and JAL-FL, `"nfl+amse"`. Keras
    resolves no third-party loss by a string; this does, and falls back to Keras
    for its own. `"mae"` is the `MAE` of this package.

    Args:
        identifier: One of `keras_arl.losses.names()`, such names joined by
            "+", the name of a Keras loss, or anything else that
            `keras.losses.get` takes; a loss is returned as it is.
        dataset: `"mnist"`, `"cifar10"`, `"cifar100"`, `"webvision"` or
            `"clothing1m"`: take the settings published for it, see
            `published_settings`; where none are published for a combination,
            those of its parts and weights of 1. Defaults to `None`: a single
            loss's defaults, a combination's settings for CIFAR-10.
        **kwargs: Arguments of the named loss of this package, before the
            published ones. Arguments of the parts of an `ActivePassive` come
            as the dictionaries `active` and `passive`, those of the loss that
            is put into another as `loss`; `from_logits`, `dtype`,
            `ignore_class` and `axis` are handed to the parts.

    Returns:
        A `keras.losses.Loss`, or what `keras.losses.get` returns.

    Raises:
        ValueError: If the name is neither ours nor Keras's.

    Example:

    >>> loss = keras_arl.losses.get("nce+rce", "cifar100", from_logits=True)
    >>> loss.alpha, loss.beta, loss.from_logits
    (10.0, 0.1, True)
    >>> loss = keras_arl.losses.get("ce+eps+mae", active={"m": 100.0})
    >>> loss.active.m
    100.0
    """
    name = identifier.lower() if isinstance(identifier, str) else None
    if name is None or not set(name.split("+")) <= {*_SINGLE, *_WRAPPERS}:
        return _get_from_keras(identifier, dataset, kwargs)
    if "+" in name:
        return _compose(name, dataset, kwargs)
    if name in _WRAPPERS:
        raise ValueError(
            f'"{name}" stands behind the loss that it is of: "ce+{name}"'
        )
    if dataset is not None:
        kwargs = {**published_settings(dataset).get(name, {}), **kwargs}
    cls, settings = _SINGLE[name]
    return cls(**{**settings, **kwargs})


def _compose(name, dataset, kwargs):
    rest, _, last = name.rpartition("+")
    if sum(part not in _WRAPPERS for part in name.split("+")) > 2:
        raise ValueError(
            'A composed loss is named "a+b" by two losses a and b, each of '
            f"which {sorted(_WRAPPERS)} may follow. Received: {name!r}"
        )
    published = published_settings(dataset or "cifar10").get(name, {})
    # Where one argument of a part is given, its other published ones hold.
    for key in published.keys() & kwargs.keys() & {"active", "passive", "loss"}:
        kwargs = {**kwargs, key: {**published[key], **kwargs[key]}}
    kwargs = {**published, **kwargs}
    shared = {key: kwargs.pop(key) for key in SHARED if key in kwargs}

    def part(name, key):
        return get(name, dataset, **shared, **kwargs.pop(key, {}))

    if last in _WRAPPERS:
        return _WRAPPERS[last](part(rest, "loss"), **kwargs)
    active, passive = part(rest, "active"), part(last, "passive")
    return ActivePassive(active, passive, **kwargs)


def _get_from_keras(identifier, dataset, kwargs):
    try:
        loss = keras.losses.get(identifier)
    except ValueError:
        raise ValueError(
            f"Unknown loss {identifier!r}: neither one of {names()} nor a "
            "loss of Keras"
        ) from None
    if kwargs or dataset is not None:
        given = sorted([*kwargs, *([] if dataset is None else ["dataset"])])
        raise ValueError(
            "Arguments are accepted for the names in "
            f"`keras_arl.losses.names()` only. Received: {identifier!r} with "
            f"{given}"
        )
    return loss
