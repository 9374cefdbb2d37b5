"""What a learner is given, checked: the loss of one sample, the model."""

import keras

from keras_arl import losses


def as_loss(loss, from_logits):
    """A loss of this package, of itself, of its name or of `None`."""
    if loss is None or isinstance(loss, str):
        arguments = {"from_logits": bool(from_logits)}
        loss = losses.get("ce" if loss is None else loss, **arguments)
    if not isinstance(loss, losses.ClassificationLoss):
        raise ValueError(
            "`loss` must be a loss of keras_arl.losses or its name. Received: "
            f"loss={loss!r}"
        )
    if loss.ignore_class is not None:
        raise ValueError(
            "A learner looks at every example. Leave out of the data those "
            "without a label, instead of `ignore_class`. Received: "
            f"loss={loss!r}"
        )
    if from_logits not in (None, loss.from_logits):
        raise ValueError(
            f"`from_logits` must be as in `loss`. Received: from_logits="
            f"{from_logits} and loss.from_logits={loss.from_logits}"
        )
    return loss


def num_classes(model, input_shape):
    """The number of classes of a model, which is built."""
    shape = getattr(model, "output_shape", None)
    if shape is None:
        # Of a subclassed model, Keras does not know it.
        output = model.compute_output_spec(_symbolic(input_shape))
        shape = getattr(output, "shape", output)
    if (
        isinstance(shape, dict)
        or len(shape) != 2
        or not all(size is None or isinstance(size, int) for size in shape)
        or (shape[-1] or 0) < 2
    ):
        raise ValueError(
            "`model` must have one output of shape (batch_size, num_classes), "
            "with at least two classes; a binary problem has two softmax "
            f"outputs here, not one sigmoid. Received: {shape}"
        )
    return shape[-1]


def _symbolic(shape):
    """Shapes, nested as a model's inputs, as symbolic tensors."""
    if isinstance(shape, dict):
        return {key: _symbolic(value) for key, value in shape.items()}
    if all(size is None or isinstance(size, int) for size in shape):
        return keras.KerasTensor(shape)
    return [_symbolic(value) for value in shape]
