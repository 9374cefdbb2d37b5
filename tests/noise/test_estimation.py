import keras
import numpy as np
import pytest
import sklearn.datasets

from keras_arl import losses
from keras_arl import noise


def posterior(rng, size, num_classes, transition):
    """Noisy posteriors and labels of examples, of which some are anchors."""
    clean = rng.dirichlet(np.full(num_classes, 0.1 / num_classes), size=size)
    noisy = clean @ transition
    labels = np.array([rng.choice(num_classes, p=p) for p in noisy])
    return noisy, labels


@pytest.mark.parametrize("num_classes", [3, 20])
def test_a_perfect_model_gives_the_matrix(rng, num_classes):
    wrong = rng.dirichlet(np.ones(num_classes) / 3, size=num_classes)
    transition = 0.6 * np.eye(num_classes) + 0.4 * wrong
    p, labels = posterior(rng, 6000, num_classes, transition)
    for skipped in (0.0, 0.1):
        estimated = noise.estimate_transition(p, labels, skipped)
        np.testing.assert_allclose(estimated, transition, atol=0.02)
        np.testing.assert_allclose(estimated.sum(axis=1), 1)


def test_outliers_are_passed_over(rng):
    transition = noise.symmetric(0.3, 4)
    p, labels = posterior(rng, 4000, 4, transition)
    # One example a class of which the model is wrongly sure.
    p[:4] = np.eye(4)
    np.testing.assert_allclose(
        noise.estimate_transition(p, labels, skipped=0.0), np.eye(4)
    )
    estimated = noise.estimate_transition(p, labels)
    np.testing.assert_allclose(estimated, transition, atol=0.05)


def test_rare_classes_have_anchors_too(rng):
    transition = noise.symmetric(0.2, 3)
    p, labels = posterior(rng, 3000, 3, transition)
    # Class 2 in one of twenty examples.
    often = np.flatnonzero(labels != 2)
    rare = np.flatnonzero(labels == 2)[: len(often) // 19]
    kept = np.concatenate([often, rare])
    p, labels = p[kept], labels[kept]
    p_not_2 = p[:, 2] < 0.5
    thinned = np.concatenate(
        [np.flatnonzero(p_not_2), np.flatnonzero(~p_not_2)[: len(rare)]]
    )
    estimated = noise.estimate_transition(p[thinned], labels[thinned])
    np.testing.assert_allclose(estimated, transition, atol=0.05)


def test_probabilities_of_half_precision(rng):
    p, labels = posterior(rng, 500, 4, noise.symmetric(0.3, 4))
    rounded = (np.round(p * 256) / 256).astype("float16")
    assert np.abs(rounded.astype("float64").sum(axis=1) - 1).max() > 1e-3
    estimated = noise.estimate_transition(rounded, labels)
    np.testing.assert_allclose(estimated.sum(axis=1), 1)
    np.testing.assert_allclose(
        estimated, noise.estimate_transition(p, labels), atol=0.02
    )


@pytest.mark.usefixtures("quick_graphs")
def test_from_noisy_digits_to_a_corrected_loss():
    digits = sklearn.datasets.load_digits()
    x = (digits.data / 16).astype("float32")
    transition = noise.pair_flip(0.3, 10)
    noisy = noise.corrupt_labels(digits.target, transition, seed=0)

    def compiled(loss):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((64,)),
                keras.layers.Dense(64, "relu"),
                keras.layers.Dense(10, "softmax"),
            ]
        )
        model.compile(keras.optimizers.Adam(0.01), loss, jit_compile=False)
        return model

    def predicted_by(model):
        model.fit(x, noisy, batch_size=64, epochs=5, verbose=0)
        return keras.ops.convert_to_numpy(model(x))

    plain = predicted_by(compiled(losses.CrossEntropy()))
    estimated = noise.estimate_transition(plain, noisy)
    # Total variation per row, of at most 1; no knowledge would give 0.73.
    distance = np.abs(estimated - transition).sum(axis=1).mean() / 2
    assert distance < 0.15
    corrected = predicted_by(compiled(losses.ForwardCorrection(estimated)))
    right, right_with_plain = (
        np.mean(p.argmax(axis=1) == digits.target) for p in (corrected, plain)
    )
    assert right > right_with_plain + 0.1


@pytest.mark.parametrize(
    ("p", "labels", "skipped", "message"),
    [
        ([[0.5, 0.5]] * 2, [0, 1, 1], 0.3, r"as many.*3 labels.*\(2, 2\)"),
        ([[0.5, 0.5]] * 2, [0, 2], 0.3, r"in 0\.\.1.*2"),
        ([[0.5, 0.5]] * 2, [0, 0], 0.3, r"Each class needs labels.*\[1\]"),
        ([[0.5, 0.5]] * 2, [0, 1], 1.0, r"`skipped`.*\[0, 1\).*1\.0"),
        ([[3.0, -2.0]] * 2, [0, 1], 0.3, r"sum to 1.*from -2 to 3"),
        ([[3.0, 2.0]] * 2, [0, 1], 0.3, "sums from 5 to 5"),
        ([0.5, 0.5], [0, 1], 0.3, r"shape \(n, C\).*\(2,\)"),
    ],
)
def test_invalid_arguments(p, labels, skipped, message):
    with pytest.raises(ValueError, match=message):
        noise.estimate_transition(np.array(p), np.array(labels), skipped)
