"""Limits and relations between the losses, and what each one refuses."""

import keras
import numpy as np
import pytest
import scipy.special

from keras_arl import losses
from keras_arl.losses import TaylorLoss
from tests.losses.reference import to_numpy
from tests.losses.reference import value_and_gradient


@pytest.fixture
def batch(rng):
    p = rng.dirichlet(np.ones(5), size=32)
    return rng.integers(5, size=32), p


def per_sample(loss, batch):
    labels, p = batch
    p = keras.ops.convert_to_tensor(p, dtype="float32")
    return to_numpy(loss.call(keras.ops.convert_to_tensor(labels), p))


def same(a, b, batch, **tolerance):
    np.testing.assert_allclose(
        per_sample(a, batch),
        per_sample(b, batch),
        **{"rtol": 1e-4, "atol": 1e-6, **tolerance},
    )


class Scaled:
    """A loss times a number, to compare losses with."""

    def __init__(self, factor, loss):
        self.factor, self.loss = factor, loss

    def call(self, y_true, y_pred):
        return self.factor * self.loss.call(y_true, y_pred)


def test_gce_goes_from_cross_entropy_to_half_of_mae(batch):
    same(losses.GCE(q=1e-4), losses.CrossEntropy(), batch, rtol=1e-3)
    same(losses.GCE(q=1.0), Scaled(0.5, losses.MAE()), batch)


def test_truncated_gce_is_gce_where_the_label_is_likely(batch):
    labels, p = batch
    likely = p[np.arange(len(p)), labels] > 0.3
    assert likely.any()
    assert not likely.all()
    truncated = per_sample(losses.TruncatedGCE(k=0.3), batch)
    whole = per_sample(losses.GCE(), batch)
    np.testing.assert_allclose(truncated[likely], whole[likely], rtol=1e-5)
    np.testing.assert_allclose(
        truncated[~likely], (1 - 0.3**0.7) / 0.7, rtol=1e-5
    )


def test_a_truncated_sample_has_no_gradient():
    loss = losses.TruncatedGCE(k=0.5, reduction="sum")
    _, gradient = value_and_gradient(
        lambda p: loss(np.array([0, 0]), p), [[0.4, 0.6], [0.6, 0.4]]
    )
    np.testing.assert_allclose(gradient[0], 0.0)
    assert gradient[1, 0] < 0


def test_parts_of_sce(batch):
    same(losses.SCE(alpha=1.0, beta=0.0), losses.CrossEntropy(), batch)
    same(losses.SCE(alpha=0.0, beta=1.0), losses.RCE(), batch)
    same(losses.RCE(log_zero=-6.0), Scaled(3.0, losses.MAE()), batch)


def test_taylor_cross_entropy_goes_from_half_of_mae_to_cross_entropy(batch):
    _, p = batch
    labels = p.argmax(axis=1)
    one = losses.TaylorCrossEntropy(order=1)
    same(one, Scaled(0.5, losses.MAE()), batch)
    many = losses.TaylorCrossEntropy(order=60)
    same(many, losses.CrossEntropy(), (labels, p), rtol=1e-3)


def test_taylor_cross_entropy_is_a_taylor_loss(batch):
    # x + x^2 / 2 of x = 1 - p, for the label alone: with the centre (1, 0),
    # y (-(p - 1) + (p - 1)^2 / 2), of exponents (1, 1) and (2, 1).
    taylor = TaylorLoss([0, -1, 0, 0, 0.5, 0], center=(1.0, 0.0), order=3)
    same(losses.TaylorCrossEntropy(order=2), taylor, batch)


def test_bootstrapping_with_the_label_alone_is_cross_entropy(batch):
    for cls in (losses.SoftBootstrapping, losses.HardBootstrapping):
        same(cls(beta=1.0), losses.CrossEntropy(), batch)


def test_asymmetric_losses_at_their_limits(batch):
    # A unit exponent leaves 1 - p; without the shift AGCE is GCE.
    unit = Scaled(0.5, losses.MAE())
    same(losses.AGCE(a=2.0, q=1.0), unit, batch)
    same(losses.AUL(a=2.0, q=1.0), unit, batch)
    same(losses.AGCE(a=1e-9, q=0.7), losses.GCE(q=0.7), batch)
    # For large a the exponential is a straight line.
    labels, p = batch
    value = per_sample(losses.AEL(a=1e3), batch)
    expected = 1 - p[np.arange(len(p)), labels] / 1e3
    np.testing.assert_allclose(value, expected, atol=1e-6)


def test_normalised_losses_are_in_0_1_and_sum_to_1_over_the_labels(rng):
    p = np.concatenate([rng.dirichlet(np.ones(5), size=32), np.eye(5)])
    for loss in (losses.NCE(), losses.NFL(), losses.NFL(gamma=3.0)):
        by_label = np.stack(
            [per_sample(loss, (np.full(len(p), k), p)) for k in range(5)]
        )
        assert by_label.min() >= 0
        assert by_label.max() <= 1
        np.testing.assert_allclose(by_label.sum(axis=0), 1.0, rtol=1e-5)
    same(losses.NFL(gamma=0.0), losses.NCE(), (np.arange(37) % 5, p))


def test_negative_losses_are_symmetric(rng):
    # Over the labels they sum to C - 1.
    p = np.concatenate([rng.dirichlet(np.ones(5), size=32), np.eye(5)])
    for loss in (losses.NNCE(), losses.NNFL(), losses.NNFL(gamma=3.0)):
        by_label = np.stack(
            [per_sample(loss, (np.full(len(p), k), p)) for k in range(5)]
        )
        assert by_label.min() >= 0
        assert by_label.max() <= 1
        np.testing.assert_allclose(by_label.sum(axis=0), 4.0, rtol=1e-5)
    same(losses.NNFL(gamma=0.0), losses.NNCE(), (np.arange(37) % 5, p))


def test_js_goes_from_cross_entropy_to_half_of_mae(batch):
    same(losses.JS(weight=1e-4), losses.CrossEntropy(), batch, rtol=2e-3)
    same(
        losses.JS(weight=1 - 1e-6),
        Scaled(0.5, losses.MAE()),
        batch,
        rtol=0.1,
    )


def test_losses_that_are_others_at_an_end_of_their_numbers(batch):
    cross_entropy = losses.CrossEntropy()
    wide = {"norm": 1e6, "threshold": 1e6}
    nearly = losses.EpsilonSoftmax(cross_entropy, m=1e-6)
    for loss in (
        losses.PHuberCE(tau=1e6),
        losses.LogitClipping(cross_entropy, **wide),
        nearly,
        losses.EntropyRegularization(cross_entropy, weight=0.0),
    ):
        same(loss, cross_entropy, batch, rtol=1e-3)
    same(losses.PHuberGCE(tau=1e6), losses.GCE(), batch)
    same(losses.DAL(q=0.7), losses.GCE(), batch)
    mse = losses.AMSE(a=1.0)
    same(losses.AMSE(a=1.0, from_zero=True), mse, batch)


def test_phuber_is_continuous_with_its_slope():
    for loss, kink in (
        (losses.PHuberCE(tau=4.0, reduction="sum"), 0.25),
        (losses.PHuberGCE(q=0.5, tau=2.0, reduction="sum"), 0.25),
    ):
        near = kink + np.array([-1e-4, 1e-4])
        p = np.stack([near, 1 - near], axis=1)
        (below, above), (low, high) = (
            per_sample(loss, ([0, 0], p)),
            value_and_gradient(lambda p, loss=loss: loss(np.zeros(2), p), p)[1],
        )
        assert below - above == pytest.approx(2e-4 * loss.tau, rel=1e-2)
        assert low[0] == pytest.approx(high[0], rel=1e-2)


def test_a_super_loss_weighs_by_lamberts_function():
    # Far below, at, and far above the threshold.
    p = np.array([[1.0, 0.0], [0.5, 0.5], [1e-6, 1 - 1e-6]])
    loss = losses.SuperLoss(losses.CrossEntropy(), regularization=0.5)
    weights = []
    for inner in (loss, losses.CrossEntropy()):
        inner.reduction = "sum"
        _, gradient = value_and_gradient(
            lambda p, inner=inner: inner(np.zeros(3), p), p
        )
        weights.append(gradient[:, 0])
    ratios = weights[0] / weights[1]
    excess = -np.log(p[2, 0]) - np.log(2)
    hard = np.exp(-scipy.special.lambertw(excess / 1.0).real)
    np.testing.assert_allclose(ratios, [np.e, 1, hard], rtol=1e-4)


def test_a_detached_focus_counts_as_constant():
    p = [[0.3, 0.7]]
    for loss in (losses.Focal(), losses.Focal(detach_focus=True)):
        _, gradient = value_and_gradient(
            lambda p, loss=loss: loss(np.array([0]), p), p
        )
        of_focus = 0 if loss.detach_focus else 2 * 0.7 * np.log(0.3)
        assert gradient[0, 0] == pytest.approx(of_focus - 0.49 / 0.3, rel=1e-4)


def test_corrections_without_noise_are_cross_entropy(batch):
    identity = np.eye(5)
    for cls in (losses.ForwardCorrection, losses.BackwardCorrection):
        same(cls(identity), losses.CrossEntropy(), batch)


def test_backward_correction_is_unbiased(rng):
    transition = rng.dirichlet(np.ones(4) / 3, size=4) * 0.4 + 0.6 * np.eye(4)
    loss = losses.BackwardCorrection(transition)
    p = rng.dirichlet(np.ones(4), size=1)
    by_observed = np.array(
        [per_sample(loss, (np.array([k]), p))[0] for k in range(4)]
    )
    np.testing.assert_allclose(
        transition @ by_observed, -np.log(p[0]), rtol=1e-4
    )


@pytest.mark.parametrize("scale", [10.0, 90.0, 1e4])
def test_forward_correction_teaches_where_probabilities_vanish(scale):
    loss = losses.ForwardCorrection(np.eye(3), from_logits=True)
    logits = np.array([[scale, 0.0, 0.0]], "float32")
    value, gradient = value_and_gradient(
        lambda z: loss(np.array([2]), z), logits
    )
    assert value == pytest.approx(scale, rel=1e-4)
    np.testing.assert_allclose(gradient, [[1, 0, -1]], atol=1e-4)


def test_forward_correction_is_least_at_the_true_posterior():
    # Expected over the noisy label, its minimum is at the clean posterior.
    transition = np.array([[0.6, 0.4], [0.1, 0.9]])
    clean = np.array([0.7, 0.3])
    loss = losses.ForwardCorrection(transition, reduction=None)
    first = np.linspace(0.01, 0.99, 99)
    p = np.stack([first, 1 - first], axis=1)
    noisy = np.tile(clean @ transition, (99, 1))
    values = to_numpy(loss(noisy, p))
    assert first[values.argmin()] == pytest.approx(0.7)


def test_keras_has_the_same_cross_entropy_and_label_smoothing(batch):
    labels, p = batch
    one_hot = np.eye(5)[labels]
    for smoothing in (0.0, 0.1):
        theirs = keras.losses.CategoricalCrossentropy(
            label_smoothing=smoothing, reduction=None
        )(one_hot, p)
        ours = losses.CrossEntropy(smoothing, reduction=None)(labels, p)
        np.testing.assert_allclose(ours, to_numpy(theirs), rtol=1e-5)
        theirs = keras.losses.CategoricalCrossentropy(
            label_smoothing=smoothing, from_logits=True, reduction=None
        )(one_hot, 30 * p)
        ours = losses.CrossEntropy(smoothing, from_logits=True, reduction=None)(
            labels, 30 * p
        )
        np.testing.assert_allclose(ours, to_numpy(theirs), rtol=1e-5, atol=1e-6)


def test_keras_has_the_same_focal_loss(batch):
    labels, p = batch
    theirs = keras.losses.CategoricalFocalCrossentropy(
        alpha=1.0, gamma=1.5, reduction=None
    )(np.eye(5)[labels], p)
    ours = losses.Focal(gamma=1.5, reduction=None)(labels, p)
    np.testing.assert_allclose(ours, to_numpy(theirs), rtol=1e-5, atol=1e-6)


def test_keras_has_the_same_gce_for_class_indices(batch):
    labels, p = batch
    theirs = keras.losses.CategoricalGeneralizedCrossEntropy(
        q=0.5, reduction=None
    )(labels, p)
    ours = losses.GCE(q=0.5, reduction=None)(labels, p)
    np.testing.assert_allclose(ours, to_numpy(theirs), rtol=1e-5)


def test_keras_has_the_same_mean_absolute_error_over_the_classes(batch, rng):
    _, p = batch
    soft = rng.dirichlet(np.ones(5), size=len(p))
    theirs = keras.losses.MeanAbsoluteError(reduction=None)(soft, p)
    ours = losses.MAE(reduction=None)(soft, p)
    np.testing.assert_allclose(ours, 5 * to_numpy(theirs), rtol=1e-5)


def test_confident_logits_keep_their_gradient():
    # From probabilities of float32 such a mistake cannot be told from p = 0.
    logits = np.array([[30.0, 0.0, -30.0]])
    for name in ("ce", "forward_correction", "sce"):
        transition = np.array([[0.8, 0.2, 0], [0, 1, 0], [0, 0, 1.0]])
        extra = {"transition": transition} if "correction" in name else {}
        loss = losses.get(name, from_logits=True, **extra)
        _, gradient = value_and_gradient(
            lambda x, loss=loss: loss(np.array([2]), x), logits
        )
        assert gradient[0, 2] < -0.05


@pytest.mark.parametrize("log_zero", [-4.0, -60.0, -90.0, -200.0])
def test_rce_of_any_log_zero(log_zero):
    loss = losses.RCE(log_zero, reduction=None)
    p = np.array([[0.25, 0.75]])
    for y_true in (np.array([1]), np.array([[0.0, 1.0]])):
        np.testing.assert_allclose(loss(y_true, p), [-log_zero * 0.25])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("ce", {"label_smoothing": 1.5}, r"`label_smoothing`.*most 1.*1\.5"),
        ("amse", {"a": 0.9}, r"`a`.*at least 1.*a=0\.9"),
        ("dal", {"q": 0}, "`q`.*above 0.*q=0"),
        ("js", {"weight": 1}, r"`weight`.*1 - 1e-06.*weight=1"),
        ("js", {"weight": 1e-8}, r"`weight`.*1e-06.*weight=1e-08"),
        ("bi_tempered", {"t2": 1 + 1e-8}, r"`t2`.*at least 1 \+ 1e-06"),
        ("ldr_kl", {"margin": 9, "temperature": 0.1}, "at most 80 times"),
        ("ldr_kl", {"temperature": 0}, "`temperature`.*temperature=0"),
        ("nnce", {"min_prob": 0.5}, r"`min_prob`.*0\.01.*min_prob=0\.5"),
        ("phuber_ce", {"tau": 1}, "`tau`.*above 1.*tau=1"),
        ("phuber_gce", {"q": 1}, r"`q`.*\(0, 1\).*q=1"),
        ("ce+eps", {"m": 0}, "`m`.*above 0.*m=0"),
        ("ce+lc", {"threshold": 0}, "`threshold`.*above 0.*threshold=0"),
        ("ce+sl", {"threshold": "log"}, "`threshold`.*threshold='log'"),
        ("focal", {"gamma": -1}, r"`gamma`.*at least 0.*gamma=-1"),
        ("gce", {"q": 0}, r"`q`.*\(0, 1\].*q=0"),
        ("gce", {"q": float("nan")}, "q=nan"),
        ("gce", {"q": "0.7"}, "q='0.7'"),
        ("gce", {"q": True}, "q=True"),
        ("truncated_gce", {"k": 1}, r"`k`.*\(0, 1\).*k=1"),
        ("sce", {"alpha": -0.1}, r"`alpha`.*alpha=-0\.1"),
        ("sce", {"log_zero": 4}, "`log_zero`.*below 0.*log_zero=4"),
        ("soft_bootstrapping", {"beta": 2}, "`beta`.*beta=2"),
        ("taylor_ce", {"order": 1.5}, r"`order`.*integer.*order=1\.5"),
        ("nfl", {"gamma": float("inf")}, "gamma=inf"),
        ("agce", {"a": 0}, "`a`.*above 0.*a=0"),
        ("agce", {"q": -1}, "`q`.*above 0.*q=-1"),
        ("aul", {"a": 1}, "`a`.*above 1.*a=1"),
        ("ael", {"a": -2.5}, r"`a`.*above 0.*a=-2\.5"),
        ("nce+mae", {"beta": -1}, "`beta`.*at least 0.*beta=-1"),
        ("ce+sr", {"temperature": 0}, "`temperature`.*temperature=0"),
        ("ce+sr", {"p": 0}, "`p`.*above 0.*p=0"),
        ("ce+sr", {"weight": -1}, "`weight`.*at least 0.*weight=-1"),
        (
            "forward_correction",
            {"transition": [[0.5, 0.4], [0, 1]]},
            "row 0 sums to 0.9",
        ),
        (
            "backward_correction",
            {"transition": [[0.5, 0.5], [0.5, 0.5]]},
            "invertible transition matrix",
        ),
    ],
)
def test_invalid_arguments(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        losses.get(name, **arguments)


@pytest.mark.parametrize("y_true", [np.array([1]), np.array([[0, 0, 1.0]])])
def test_a_transition_matrix_must_fit_the_predictions(y_true):
    for name in ("forward_correction", "backward_correction"):
        loss = losses.get(name, transition=np.eye(2))
        with pytest.raises(ValueError, match=r"2 classes.*of 3 classes"):
            loss(y_true, np.full((1, 3), 1 / 3))
