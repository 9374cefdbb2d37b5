"""The Taylor polynomial of a softmax with its gradient in closed form.

For TensorFlow alone: differentiated automatically, XLA writes a scattered
gradient and several arrays of the size of the logits that this does without.
JAX's compiler gains nothing by it.
"""

import tensorflow as tf

from keras_arl.losses.predictions import Logits
from keras_arl.losses.taylor.polynomial import horner


def taylor_of_softmax(
    logits, labels, exponent, other, change, center, zero, one
):
    """A polynomial of u = p^q for class indices, from logits.

    Args:
        logits: Tensor of shape `(..., C)`.
        labels: int32 tensor of shape `(...)`.
        exponent: The q, a float.
        other: Coefficients of (u - a)^1.. of the unlabelled classes.
        change: What is added to them for the labelled class.
        center: The shift a.
        zero: What is subtracted of each class.
        one: What is subtracted of a sample.

    Returns:
        A tensor of shape `(...)`.
    """

    @tf.custom_gradient
    def fused(logits, other, change, center, zero, one):
        predictions = Logits(logits)
        p = predictions.probabilities
        u = p
        if exponent != 1:
            u = tf.exp(exponent * predictions.log_probabilities)
        x = u - center
        labelled = tf.gather(x, labels, axis=-1, batch_dims=labels.shape.rank)
        values = tf.reduce_sum(horner(tf.unstack(other), x) - zero, -1)
        value = values + horner(tf.unstack(change), labelled) - one

        def gradient(upstream):
            slope = _derivative(other, x)
            # By the logarithms of p.
            pulls = exponent * u * slope
            pull = (
                exponent * (labelled + center) * _derivative(change, labelled)
            )
            total = tf.reduce_sum(pulls, axis=-1) + pull
            is_labelled = tf.equal(
                tf.range(tf.shape(p)[-1]), labels[..., tf.newaxis]
            )
            by_logits = (
                pulls
                - p * total[..., tf.newaxis]
                + tf.where(
                    is_labelled, pull[..., tf.newaxis], tf.zeros((), p.dtype)
                )
            )
            return (
                upstream[..., tf.newaxis] * by_logits,
                _by_coefficients(other, x, upstream[..., tf.newaxis]),
                _by_coefficients(change, labelled, upstream),
                -tf.reduce_sum(
                    upstream
                    * (
                        tf.reduce_sum(slope, axis=-1)
                        + _derivative(change, labelled)
                    )
                ),
                -tf.reduce_sum(upstream) * x.shape[-1],
                -tf.reduce_sum(upstream),
            )

        return value, gradient

    return fused(logits, other, change, center, zero, one)


def _derivative(coefficients, x):
    order = coefficients.shape[0]
    total = order * coefficients[-1] * tf.ones_like(x)
    for k in range(order - 2, -1, -1):
        total = total * x + (k + 1) * coefficients[k]
    return total


def _by_coefficients(coefficients, x, upstream):
    return tf.stack(
        [
            tf.reduce_sum(upstream * x ** (k + 1))
            for k in range(coefficients.shape[0])
        ]
    )
