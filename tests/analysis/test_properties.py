import itertools

import keras
import numpy as np
import pytest

from keras_arl import analysis
from keras_arl import losses
from keras_arl.analysis import asymmetry_ratio
from keras_arl.analysis import is_trainable
from keras_arl.analysis import symmetry_gap
from keras_arl.losses import TaylorLoss
from tests.losses.reference import to_numpy
from tests.losses.reference import value_and_gradient


@pytest.mark.parametrize("class_aware", [False, True])
@pytest.mark.parametrize("num_classes", [2, 10, 100])
def test_closed_form_agrees_with_the_gradient(rng, num_classes, class_aware):
    verdicts = []
    for _ in range(20):
        loss = TaylorLoss(
            rng.normal(size=10),
            center=rng.normal(size=2),
            class_aware=class_aware,
            from_logits=True,
        )
        _, gradient = value_and_gradient(
            lambda logits, loss=loss: loss(np.array([1]), logits),
            np.zeros((1, num_classes)),
        )
        verdict = is_trainable(loss, num_classes)
        assert verdict == (gradient[0, 1] < 0)
        verdicts.append(verdict)
    assert {True, False} == set(verdicts)


def test_a_polynomial_without_the_label_teaches_nothing():
    assert not is_trainable(TaylorLoss([1.0], order=1), 10)


@pytest.mark.parametrize(
    ("num_classes", "from_logits"), [(2, True), (100, False)]
)
def test_published_losses_can_teach(num_classes, from_logits):
    for name in losses.names():
        # One leaves out what has no more than the probability of a guess, two
        # what is predicted, which of equal predictions is the first.
        left_out = ("truncated_gce", "ce+eps", "focal+eps", "taylor")
        if name in left_out or "correction" in name:
            continue
        loss = losses.get(name, from_logits=from_logits)
        assert is_trainable(loss, num_classes), name


def test_a_loss_that_moves_can_teach_if_its_first_moment_can():
    # -(t - 0.2) p_y and its opposite.
    for sign, can_teach in ((1, False), (-1, True)):
        loss = losses.ScheduledTaylorLoss(
            [0, -0.3 * sign, 0, 0, 0, 0], [0, -sign, 0, 0], order=3
        )
        assert is_trainable(loss, 10) == can_teach
        assert is_trainable(loss.at(1.0), 10) != can_teach


def test_what_cannot_teach():
    assert not is_trainable(losses.TruncatedGCE(k=0.5), 10)
    assert is_trainable(losses.TruncatedGCE(k=0.05), 10)
    assert not is_trainable(lambda y, p: 0.0 * p[:, 0], 10)
    assert not is_trainable(lambda y, p: keras.ops.zeros(len(y)), 10)
    ce = keras.losses.SparseCategoricalCrossentropy()
    assert is_trainable(ce, 10)
    assert is_trainable(lambda y, p: 1e-8 * ce.call(y, p), 10)
    # Labels that are all read as class 0: it teaches one class and unteaches
    # the others.
    assert not is_trainable(lambda y, p: ce.call(0 * y, p), 10)


@pytest.mark.parametrize(
    ("name", "num_classes"),
    [
        *itertools.product(["mae", "rce", "nce", "nfl", "nfl+rce"], [10]),
        *itertools.product(["nce+mae"], [2, 100]),
    ],
)
def test_symmetric_losses_have_no_gap(name, num_classes):
    assert symmetry_gap(losses.get(name), num_classes) < 1e-5
    from_logits = losses.get(name, from_logits=True)
    assert symmetry_gap(from_logits, num_classes) < 1e-5


def test_symmetry_gap_in_closed_form():
    # Cross-entropy's mean over the labels is least, log(C), at the uniform
    # prediction, and greatest at a corner, where C - 1 labels cost what a
    # probability of 1e-7 costs, the greatest loss there is.
    worst = -np.log(1e-7)
    for num_classes in (2, 10):
        corner = worst * (num_classes - 1) / num_classes
        expected = (corner - np.log(num_classes)) / worst
        for loss in (
            losses.CrossEntropy(),
            keras.losses.SparseCategoricalCrossentropy(),
        ):
            gap = symmetry_gap(loss, num_classes)
            assert gap == pytest.approx(expected, abs=1e-3)
    # GCE: S is least at a corner and greatest at the uniform prediction.
    q, corner, uniform = 0.7, 0.9 / 0.7, (1 - 0.1**0.7) / 0.7
    gap = symmetry_gap(losses.GCE(q), 10)
    assert gap == pytest.approx(abs(uniform - corner) * q, abs=1e-4)


def test_symmetry_gap_of_a_constant():
    assert symmetry_gap(lambda y, p: 0.0 * p[:, 0] + 3.0, 4) == 0.0


@pytest.mark.parametrize(
    ("a", "q", "num_classes"),
    [(0.2, 0.2, 3), (6, 0.6, 2), (1, 1, 3), (0.2, 3, 2)],
)
def test_published_conditions_of_agce(a, q, num_classes):
    ratio = asymmetry_ratio(losses.AGCE(a, q), num_classes)
    expected = 1.0 if q >= 1 else (a / (a + 1)) ** (1 - q)
    assert ratio == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize(
    ("a", "q", "num_classes"),
    [(1.5, 0.1, 2), (3, 1, 3), (1.5, 1.5, 2), (6, 3, 3)],
)
def test_published_conditions_of_aul(a, q, num_classes):
    ratio = asymmetry_ratio(losses.AUL(a, q), num_classes)
    expected = 1.0 if q <= 1 else ((a - 1) / a) ** (q - 1)
    assert ratio == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize("a", [0.5, 5.0])
def test_published_condition_of_ael(a):
    ratio = asymmetry_ratio(losses.AEL(a), 10)
    assert ratio == pytest.approx(np.exp(-1 / a), rel=5e-3)


def test_asymmetry_ratio_of_symmetric_and_unbounded_losses():
    assert asymmetry_ratio(losses.MAE(), 10) == pytest.approx(1, abs=1e-3)
    assert 0 < asymmetry_ratio(losses.CrossEntropy(), 3) < 1e-3
    rising = TaylorLoss([0, -2, 0, 0, 2, 0], order=3)
    assert asymmetry_ratio(rising, 3) < 0
    assert asymmetry_ratio(TaylorLoss([0, 1, 0], order=2), 3) == -np.inf


def test_asymmetry_ratio_does_not_depend_on_the_scale():
    ce = losses.CrossEntropy()
    expected = asymmetry_ratio(ce, 3)
    ratio = asymmetry_ratio(lambda y, p: 1e-8 * ce.call(y, p), 3)
    assert ratio == pytest.approx(expected, rel=1e-3)
    # Nearly a straight line, of which a difference is nearly nothing.
    assert asymmetry_ratio(losses.AEL(1e6), 3) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("q", "from_logits"), [(0.5, False), (0.9, True)])
def test_asymmetry_ratio_of_gce_is_that_of_a_thousandth(q, from_logits):
    # At v = 0.001 and u = 1 - v, where its infimum is. The quadrature is worst
    # at the unbounded slope at 0. To logits no bound applies.
    v = 0.001
    expected = (1 - (1 - v) ** q) / v**q
    ratio = asymmetry_ratio(losses.GCE(q, from_logits=from_logits), 3)
    assert ratio == pytest.approx(expected, rel=0.05)


@pytest.mark.skipif(
    keras.config.backend() == "jax", reason="float64 by a global switch"
)
def test_a_loss_of_float64():
    loss = losses.get("ce+sr", dtype="float64")
    same = losses.get("ce+sr")
    assert symmetry_gap(loss, 3) == pytest.approx(
        symmetry_gap(same, 3), abs=1e-5
    )
    assert asymmetry_ratio(loss, 3) == pytest.approx(
        asymmetry_ratio(same, 3), rel=1e-3
    )
    assert is_trainable(loss, 3)
    analysis.plot_losses({"of float64": loss})


@pytest.mark.parametrize("function", [symmetry_gap, asymmetry_ratio])
def test_what_is_no_finite_loss(function):
    with pytest.raises(ValueError, match=r"must be finite.*nan"):
        function(lambda y, p: float("nan") * p[:, 0], 3)
    with pytest.raises(ValueError, match="one value per sample"):
        function(lambda y, p: p, 3)
    with pytest.raises(ValueError, match="Received: loss='gce'"):
        function("gce", 3)
    with pytest.raises(ValueError, match="constant"):
        asymmetry_ratio(lambda y, p: 0.0 * p[:, 0], 3)


def test_asymmetry_ratio_says_what_a_noisy_minimum_does():
    # The label 0 is w times as frequent as the label 1. The prediction of the
    # least expected loss is the corner of class 0 if w > 1 / r.
    loss = losses.AGCE(a=1.0, q=0.5, reduction=None)
    ratio = asymmetry_ratio(loss, 2)
    p = np.linspace(0, 1, 201)
    predictions = np.stack([p, 1 - p], axis=1)
    for factor in (0.9, 1.1):
        w = factor / ratio
        labels = np.tile([w / (1 + w), 1 / (1 + w)], (201, 1))
        best = p[to_numpy(loss(labels, predictions)).argmin()]
        assert (best == 1.0) == (factor > 1)


def test_asymmetry_ratio_needs_classes_that_are_alike():
    loss = losses.ForwardCorrection(np.array([[0.9, 0.1], [0.4, 0.6]]))
    with pytest.raises(ValueError, match="treat all classes alike"):
        asymmetry_ratio(loss, 2)


@pytest.mark.parametrize(
    "function", [is_trainable, symmetry_gap, asymmetry_ratio]
)
@pytest.mark.parametrize("num_classes", [1, 2.5, True])
def test_invalid_class_count(function, num_classes):
    with pytest.raises(ValueError, match=f"num_classes={num_classes}"):
        function(losses.MAE(), num_classes)
