"""Each paper's formula in float64 NumPy, at the published default settings.

All take the label y, one-hot or soft, and the class probabilities p, of shape
(n, C), and return one value per sample.
"""

import numpy as np

from keras_arl import losses
from tests.losses.reference import taylor

# Of three classes; neither symmetric nor doubly stochastic.
TRANSITION = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.0, 0.4, 0.6]])
TAYLOR = {"coefficients": [0.5, -2.0, 1.5], "order": 2}


def expected(loss):
    """The expectation over the label of a loss of p_y alone."""
    return lambda y, p: np.sum(y * loss(p), axis=1)


def cross_entropy(y, p, smoothing=0.0):
    y = (1 - smoothing) * y + smoothing / y.shape[1]
    return -np.sum(y * np.log(p), axis=1)


def focal(gamma):
    return lambda p: -((1 - p) ** gamma) * np.log(p)


def mae(y, p):
    return np.sum(np.abs(y - p), axis=1)


def rce(y, p, log_zero=-4.0):
    with np.errstate(divide="ignore"):
        return -np.sum(p * np.maximum(np.log(y), log_zero), axis=1)


def sce(y, p, alpha=0.1, beta=1.0):
    return alpha * cross_entropy(y, p) + beta * rce(y, p)


def gce(q):
    return lambda p: (1 - p**q) / q


def truncated_gce(p, q=0.7, k=0.5):
    return np.where(p > k, (1 - p**q) / q, (1 - k**q) / q)


def poly_soft(p, d=1.5):
    threshold = np.log(10)
    rest = np.maximum(1 + np.log(p) / threshold, 0)
    return (d - 1) / d * threshold * (1 - rest ** (d / (d - 1)))


def tempered_log(u, t):
    return (u ** (1 - t) - 1) / (1 - t)


def bi_tempered(y, p, t1=0.8, t2=1.2):
    def tempered_exp(x):
        return np.maximum(1 + (1 - t2) * x, 0) ** (1 / (1 - t2))

    z = np.log(p)
    low, high = z.max(axis=1), z.max(axis=1) + p.shape[1] ** t2 / (t2 - 1)
    for _ in range(200):
        middle = (low + high) / 2
        is_low = tempered_exp(z - middle[:, None]).sum(axis=1) > 1
        low, high = (
            np.where(is_low, middle, low),
            np.where(is_low, high, middle),
        )
    q = tempered_exp(z - low[:, None])
    powers = (y ** (2 - t1) - q ** (2 - t1)) / (2 - t1)
    logs = y * (tempered_log(y, t1) - tempered_log(q, t1))
    return np.sum(logs - powers, axis=1)


def soft_bootstrapping(y, p, beta=0.95):
    return -np.sum((beta * y + (1 - beta) * p) * np.log(p), axis=1)


def hard_bootstrapping(y, p, beta=0.8):
    z = np.eye(p.shape[1])[np.argmax(p, axis=1)]
    return -np.sum((beta * y + (1 - beta) * z) * np.log(p), axis=1)


def forward_correction(y, p):
    return -np.sum(y * np.log(p @ TRANSITION), axis=1)


def backward_correction(y, p):
    losses = -np.log(p)
    return np.sum(y * (losses @ np.linalg.inv(TRANSITION).T), axis=1)


def taylor_ce(p, order=2):
    return sum((1 - p) ** i / i for i in range(1, order + 1))


def normalized(loss):
    return lambda y, p: np.sum(y * loss(p), axis=1) / np.sum(loss(p), axis=1)


def agce(a, q):
    return lambda p: ((a + 1) ** q - (a + p) ** q) / q


def aul(a, q):
    return lambda p: ((a - p) ** q - (a - 1) ** q) / q


def ael(a):
    return lambda p: np.exp(-p / a)


def weighted(alpha, active, beta, passive):
    return lambda y, p: alpha * active(y, p) + beta * passive(y, p)


def sparse(loss, temperature=0.5, exponent=0.1, weight=1.2):
    def regularized(y, p):
        sharpened = p ** (1 / temperature)
        sharpened = sharpened / sharpened.sum(axis=1, keepdims=True)
        penalty = np.sum(sharpened**exponent, axis=1)
        return loss(y, sharpened) + weight * penalty

    return regularized


NCE = normalized(lambda p: -np.log(p))
NFL = normalized(focal(0.5))
PAPERS = {
    "ael": expected(ael(2.5)),
    "agce": expected(agce(0.6, 0.6)),
    "aul": expected(aul(5.5, 3.0)),
    "backward_correction": backward_correction,
    "bi_tempered": bi_tempered,
    "ce": cross_entropy,
    "focal": expected(focal(2.0)),
    "forward_correction": forward_correction,
    "gce": expected(gce(0.7)),
    "hard_bootstrapping": hard_bootstrapping,
    "label_smoothing": lambda y, p: cross_entropy(y, p, 0.1),
    "mae": mae,
    "nce": NCE,
    "nfl": NFL,
    "poly_soft": expected(poly_soft),
    "rce": rce,
    "sce": sce,
    "soft_bootstrapping": soft_bootstrapping,
    "taylor": lambda y, p: taylor(TAYLOR["coefficients"], (0, 0), 2, y, p),
    "taylor_ce": expected(taylor_ce),
    "truncated_gce": expected(truncated_gce),
    "nce+mae": weighted(1, NCE, 1, mae),
    "nce+rce": weighted(1, NCE, 1, rce),
    "nfl+mae": weighted(1, NFL, 1, mae),
    "nfl+rce": weighted(1, NFL, 1, rce),
    "nce+agce": weighted(1, NCE, 4, expected(agce(6, 1.5))),
    "nce+aul": weighted(1, NCE, 4, expected(aul(6.3, 1.5))),
    "nce+ael": weighted(1, NCE, 4, expected(ael(5))),
    "nfl+agce": weighted(1, NFL, 1, expected(agce(0.6, 0.6))),
    "nfl+aul": weighted(1, NFL, 1, expected(aul(5.5, 3.0))),
    "nfl+ael": weighted(1, NFL, 1, expected(ael(2.5))),
    "ce+sr": sparse(cross_entropy),
    "focal+sr": sparse(expected(focal(0.5))),
    "gce+sr": sparse(expected(gce(0.01))),
}


# Arguments without defaults.
_REQUIRED = {
    "backward_correction": {"transition": TRANSITION},
    "forward_correction": {"transition": TRANSITION},
    "taylor": TAYLOR,
}


def make(name, /, **kwargs):
    """A loss of the registry."""
    return losses.get(name, **_REQUIRED.get(name, {}), **kwargs)


def paper(name):
    """Its formula."""
    if name == "arl":
        arl = losses.ARL()
        return lambda y, p: taylor(
            arl.coefficients, arl.center, arl.order, y, p, arl.class_aware
        )
    return PAPERS[name]


def batch(rng, size=8):
    """Class indices, the same one-hot, and class probabilities."""
    num_classes = len(TRANSITION)
    probabilities = rng.dirichlet(np.ones(num_classes), size=size)
    labels = rng.integers(num_classes, size=size)
    return labels, np.eye(num_classes)[labels], probabilities


def logits_of(p):
    """Logits whose softmax is p, shifted: a softmax must not care."""
    return np.log(p) + np.arange(len(p))[:, None]
