"""Each paper's formula in float64 NumPy, at the published default settings.

All take the label y, one-hot or soft, and the class probabilities p, of shape
(n, C), and return one value per sample.
"""

import numpy as np
import scipy.special

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
    threshold = 3 * np.log(10)
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


def amse(y, p, a=30):
    k = p.shape[1]
    to_each = np.sum((a * np.eye(k) - p[:, None]) ** 2, axis=-1) / k
    return np.sum(y * to_each, axis=1)


def js(y, p, weight=0.5):
    def divergence(q, m):
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(q > 0, q * np.log(q / m), 0.0)
        return np.sum(terms, axis=1)

    m = weight * y + (1 - weight) * p
    total = weight * divergence(y, m) + (1 - weight) * divergence(p, m)
    return total / -((1 - weight) * np.log(1 - weight))


def phuber_ce(p, tau=2):
    return np.where(p > 1 / tau, -np.log(p), 1 + np.log(tau) - tau * p)


def phuber_gce(p, q=0.7, tau=10):
    t = tau ** (1 / (q - 1))
    return np.where(p > t, (1 - p**q) / q, tau * (t - p) + (1 - t**q) / q)


def ldr_kl(y, z, margin=0.1, temperature=10.0):
    s = np.log1p(np.exp(z))
    s = s / s.mean(axis=1, keepdims=True)
    difference = margin * (1 - np.eye(z.shape[1])) + s[:, None] - s[..., None]
    means = np.mean(np.exp(difference / temperature), axis=-1)
    return np.sum(y * temperature * np.log(means), axis=1)


def clipped(y, z, norm=1.0):
    length = np.linalg.norm(z, axis=1, keepdims=True)
    return cross_entropy(y, softmax(np.where(length > norm, z / length, z)))


def nearly_one_hot(loss, m=1e4):
    def of_nearly_one_hot(y, p):
        f = p + m * np.eye(p.shape[1])[np.argmax(p, axis=1)]
        return loss(y, np.maximum(f / (m + 1), 1e-8))

    return of_nearly_one_hot


def super_loss(y, p):
    excess = cross_entropy(y, p) - np.log(p.shape[1])
    # `max(x, -2 / e) / 2` may be a bit below the branch point.
    x = np.maximum(excess / 2, -1 / np.e + 1e-12)
    log_weight = -scipy.special.lambertw(x).real
    return excess * np.exp(log_weight) + log_weight**2


def with_entropy(loss, weight):
    def regularized(y, p):
        mean = p.mean(axis=0)
        rest = np.log(p.shape[1]) + np.sum(mean * np.log(mean))
        return loss(y, p) + weight * rest

    return regularized


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def centred_log(p):
    log_p = np.log(p)
    return log_p - log_p.mean(axis=1, keepdims=True)


NCE = normalized(lambda p: -np.log(p))
NFL = normalized(focal(0.5))


def negative(loss):
    """1 - a normalised loss, turned upside down at a probability of 1e-7."""
    turned = normalized(lambda p: loss(1e-7) - loss(np.maximum(p, 1e-7)))
    return lambda y, p: 1 - turned(y, p)


NNCE = negative(lambda p: -np.log(p))
NNFL = negative(focal(0.5))
# Losses of the logits z, which a common shift changes.
OF_LOGITS = {"ldr_kl": ldr_kl, "ce+lc": clipped}
PAPERS = {
    "ael": expected(ael(2.5)),
    "agce": expected(agce(0.6, 0.6)),
    "amse": amse,
    "aul": expected(aul(5.5, 3.0)),
    "backward_correction": backward_correction,
    "bi_tempered": bi_tempered,
    "ce": cross_entropy,
    "dal": expected(lambda p: gce(0.6)(np.maximum(p, 1e-6))),
    "focal": expected(focal(2.0)),
    "forward_correction": forward_correction,
    "gce": expected(gce(0.7)),
    "hard_bootstrapping": hard_bootstrapping,
    "js": js,
    "label_smoothing": lambda y, p: cross_entropy(y, p, 0.1),
    "mae": mae,
    "nce": NCE,
    "negative_label_smoothing": lambda y, p: cross_entropy(y, p, -0.4),
    "nfl": NFL,
    "nnce": NNCE,
    "nnfl": NNFL,
    "phuber_ce": expected(phuber_ce),
    "phuber_gce": expected(phuber_gce),
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
    "nce+nnce": weighted(5, NCE, 5, NNCE),
    "nfl+nnfl": weighted(5, NFL, 5, NNFL),
    "nce+nnce+er": with_entropy(weighted(5, NCE, 5, NNCE), 2),
    "nce+amse": weighted(1, NCE, 1, amse),
    "nfl+amse": weighted(1, NFL, 1, amse),
    "ce+eps": nearly_one_hot(cross_entropy),
    "focal+eps": nearly_one_hot(expected(focal(0.1))),
    "ce+eps+mae": weighted(0.5, nearly_one_hot(cross_entropy), 1, mae),
    "focal+eps+mae": weighted(
        0.5, nearly_one_hot(expected(focal(0.1))), 1, mae
    ),
    "ce+sl": super_loss,
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


# Their numbers are in files.
LEARNED = {"arl", "arl_2"}


def paper(name):
    """Its formula."""
    if name in OF_LOGITS:
        return lambda y, p: OF_LOGITS[name](y, centred_log(p))
    if name in LEARNED:
        found = make(name)
        return lambda y, p: taylor(
            found.coefficients,
            found.center,
            found.order,
            y,
            p,
            found.class_aware,
        )
    return PAPERS[name]


def of_logits(name):
    """Its formula as a function of the label and the logits."""
    if name in OF_LOGITS:
        return OF_LOGITS[name]
    return lambda y, z: paper(name)(y, softmax(z))


def batch(rng, size=8):
    """Class indices, the same one-hot, and class probabilities."""
    num_classes = len(TRANSITION)
    probabilities = rng.dirichlet(np.ones(num_classes), size=size)
    labels = rng.integers(num_classes, size=size)
    return labels, np.eye(num_classes)[labels], probabilities


def logits_of(p, name=None):
    """Logits whose softmax is p, shifted unless the loss named sees that."""
    if name in OF_LOGITS:
        return centred_log(p)
    return np.log(p) + np.arange(len(p))[:, None]
