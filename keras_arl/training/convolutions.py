"""Convolutions as matrix products, for XLA's loops on the CPU.

XLA runs a convolution inside a loop on one thread of a CPU, many times slower
than outside; a matrix product it runs as fast as ever.
"""

import math

import keras
from keras import ops

# Patches of a batch that are larger take longer to write than they save.
_LARGEST_PATCHES = 2**26


class PatchesConv2D(keras.layers.Conv2D):
    """`Conv2D` as patches times a matrix, for `channels_last`."""

    def convolution_op(self, inputs, kernel):
        height, width, channels, filters = kernel.shape
        rows = _Axis(inputs.shape[1], height, self.strides[0], self.padding)
        columns = _Axis(inputs.shape[2], width, self.strides[1], self.padding)
        inputs = ops.pad(inputs, [(0, 0), rows.pad, columns.pad, (0, 0)])
        # Places with one remainder by the strides are apart, so that a gradient
        # is added up of those patches alone that a place is in.
        grid = ops.reshape(
            inputs,
            (
                -1,
                rows.steps,
                rows.stride,
                columns.steps,
                columns.stride,
                channels,
            ),
        )
        parts = [
            [grid[:, :, i, :, j] for j in range(columns.stride)]
            for i in range(rows.stride)
        ]
        patches = ops.concatenate(
            [
                parts[i % rows.stride][j % columns.stride][
                    :, rows.places(i), columns.places(j)
                ]
                for i in range(height)
                for j in range(width)
            ],
            axis=-1,
        )
        size = height * width * channels
        products = ops.matmul(
            ops.reshape(patches, (-1, size)),
            ops.reshape(kernel, (size, filters)),
        )
        return ops.reshape(
            products, (-1, rows.num_outputs, columns.num_outputs, filters)
        )


class _Axis:
    """Where the patches begin along one axis."""

    def __init__(self, size, kernel, stride, padding):
        self.stride = stride
        if padding == "same":
            self.num_outputs = -(-size // stride)
            missing = max((self.num_outputs - 1) * stride + kernel - size, 0)
        else:
            self.num_outputs = (size - kernel) // stride + 1
            missing = 0
        before = missing // 2
        # Whole steps of the stride.
        self.steps = -(-(size + missing) // stride)
        self.pad = (before, self.steps * stride - size - before)

    def places(self, k):
        """Where the patches' k-th numbers are among those of its remainder."""
        return slice(k // self.stride, k // self.stride + self.num_outputs)


def as_matrix_products(model, batch_size):
    """Writes the `Conv2D` layers of a model as `PatchesConv2D`.

    Args:
        model: A built `keras.Model`.
        batch_size: Number of examples a batch.

    Returns:
        A new model with variables in the same order, which has the other layers
        of the given one; or the given one if there is nothing to write or it is
        not one of layers alone (a subclass of `keras.Model`, say).
    """

    def is_written(layer):
        return (
            _is_plain(layer) and _patches(layer) * batch_size < _LARGEST_PATCHES
        )

    def clone(layer):
        if is_written(layer):
            return PatchesConv2D.from_config(layer.get_config())
        # What a layer was adapted to need not be in its configuration.
        return layer

    # Keras's own two: what a subclass does in `call` cannot be cloned.
    if not type(model).__module__.startswith("keras."):
        return model
    if not any(map(is_written, all_layers(model))):
        return model
    try:
        written = keras.models.clone_model(
            model, clone_function=clone, recursive=True
        )
    except (NotImplementedError, TypeError, ValueError):
        return model
    # One that was given to a variable is not in its layer's configuration.
    for variable, given in zip(written.variables, model.variables, strict=True):
        variable.regularizer = given.regularizer
    return written


def all_layers(model):
    """The layers of a model, and of the models among them."""
    for layer in model.layers:
        yield layer
        yield from all_layers(layer) if isinstance(layer, keras.Model) else ()


def _is_plain(layer):
    return (
        type(layer) is keras.layers.Conv2D
        and layer.groups == 1
        and tuple(layer.dilation_rate) == (1, 1)
        and layer.data_format == "channels_last"
    )


def _patches(layer):
    """Numbers in an example's patches; infinite if they are not known."""
    *_, height, width, _ = layer.output.shape
    if height is None or width is None:
        return math.inf
    return height * width * math.prod(layer.kernel.shape[:-1])
