"""The features of a model, beside its output."""

import keras


def features_and_output(model, features=None):
    """A model that returns (features, output) and shares a model's layers.

    Args:
        model: `keras.Model`.
        features: See `ConfidenceBranch`.

    Returns:
        A `keras.Model`.
    """
    if isinstance(features, keras.Model):
        return features
    if not hasattr(model, "inputs") or not model.built:
        raise ValueError(
            "The features of a subclassed model, or of one that is not built, "
            "cannot be found. Pass a functional model, a Sequential one with "
            "`keras.Input`, or `features=` a model that returns "
            f"(features, output). Received: model={model!r}"
        )
    if features is not None:
        tensor = model.get_layer(features).output
    else:
        with_weights = [layer for layer in model.layers if layer.weights]
        if not with_weights:
            raise ValueError("`model` has no layer with weights.")
        tensor = with_weights[-1].input
    # Inputs in the model's own structure; of another one Keras warns. A
    # Sequential model has one.
    inputs = getattr(model, "input", model.inputs[0])
    return keras.Model(inputs, [tensor, model.outputs[0]])
