"""What can be said of a loss without training with it."""

from keras_arl.losses import polynomial


def is_trainable(loss, num_classes):
    """Whether the loss can teach a network that does not know anything yet.

    At uniform predictions, p_c = 1/C, the gradient of a `TaylorLoss` with
    respect to the labelled class's logit is

    ```
    (C - 1) / C^2 * (f_1'(1/C) - f_0'(1/C))
    ```

    with f_1 and f_0 the polynomials of the labelled and of the other classes.
    A gradient step raises that logit, and so the labelled class's probability,
    exactly when this is negative.

    Args:
        loss: A `TaylorLoss`.
        num_classes: Number of classes C, at least 2.

    Returns:
        `True` if a gradient step raises the labelled class's probability.

    Example:

    >>> unhinged = keras_arl.losses.TaylorLoss([0, -1, 0], order=2)
    >>> keras_arl.losses.is_trainable(unhinged, num_classes=10)
    True
    >>> unhinged.assign([0, 1, 0])
    >>> keras_arl.losses.is_trainable(unhinged, num_classes=10)
    False
    """
    if num_classes < 2:
        raise ValueError(
            "`num_classes` must be at least 2. "
            f"Received: num_classes={num_classes}"
        )
    slopes = [
        polynomial.univariate(
            loss.coefficients, loss.center, loss.order, label
        ).deriv()(1 / num_classes - loss.center[0])
        for label in (0, 1)
    ]
    return bool(slopes[1] < slopes[0])
