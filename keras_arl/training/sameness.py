"""Whether two models are one but for the values of their variables."""

import dataclasses
import warnings

import keras
import numpy as np

# What models that do the same may differ in.
_IGNORED = ("compile_config", "seed", "shared_object_id")
# Where a configuration refers to layers by their names.
_REFERENCES = ("inbound_nodes", "input_layers", "output_layers")
_EXAMPLES = 2
# For dimensions of inputs that are open.
_LENGTH = 8
_SHOWN = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Signature:
    """What a model is, but for the values of its variables.

    Args:
        shapes: Shapes of the variables, a list.
        config: Lines of the configuration, without names and seeds.
        outputs: What the model makes of fixed inputs with fixed variables, a
            list of arrays. It tells of what no configuration does, such as the
            constants of an adapted `Normalization`. Empty where the
            configuration is known to tell everything, or the model cannot be
            called so.
    """

    shapes: list
    config: list
    outputs: list

    def difference(self, other):
        """How another model differs, a text; empty where it does not."""
        if self.shapes != other.shapes:
            return f"variables of shapes {other.shapes} and {self.shapes}"
        if self.config != other.config:
            there, here = set(self.config), set(other.config)
            lines = [line for line in other.config if line not in there]
            lines += [line for line in self.config if line not in here]
            return "configurations that differ in " + "; ".join(lines[:_SHOWN])
        if len(self.outputs) != len(other.outputs) or not all(
            a.shape == b.shape
            and np.allclose(a, b, rtol=1e-2, atol=1e-4, equal_nan=True)
            for a, b in zip(self.outputs, other.outputs)
        ):
            return "other outputs for the same inputs and variables"
        return ""


def signature(model, inputs):
    """The `Signature` of a model, whose variables get other values.

    Args:
        model: A built `keras.Model`.
        inputs: A structure of `keras.KerasTensor`, or `None`: the configuration
            tells everything.
    """
    return Signature(
        [tuple(variable.shape) for variable in model.variables],
        _lines(_config(model)),
        [] if inputs is None else _outputs(model, inputs),
    )


def _config(layer):
    try:
        with warnings.catch_warnings():
            # Of lambdas, which nobody is going to load.
            warnings.simplefilter("ignore")
            return keras.saving.serialize_keras_object(layer)
    # What a subclass cannot tell of itself, its layers may.
    except Exception:
        layers = getattr(layer, "layers", [])
        return {
            "class": type(layer).__qualname__,
            "layers": [_config(each) for each in layers],
        }


def _lines(config):
    leaves = list(_leaves(config, ()))
    numbers = {}
    for path, value in leaves:
        if path[-1] == "name":
            numbers.setdefault(value, len(numbers))
    return [
        f"{'.'.join(path)}: "
        f"{numbers.get(value, value) if _refers(path) else value}"
        for path, value in leaves
        if path[-1] != "name"
    ]


def _refers(path):
    return any(part in _REFERENCES for part in path)


def _leaves(value, path):
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, (list, tuple)):
        pairs = enumerate(value)
    else:
        yield path, str(value)
        return
    for key, each in pairs:
        if key not in _IGNORED:
            yield from _leaves(each, (*path, str(key)))


def _outputs(model, inputs):
    rng = np.random.default_rng(0)
    try:
        for variable in model.variables:
            variable.assign(_values(rng, variable.shape, variable.dtype, 0))
        outputs = model(
            keras.tree.map_structure(
                lambda x: _values(
                    rng,
                    (_EXAMPLES, *(size or _LENGTH for size in x.shape[1:])),
                    x.dtype,
                    1,
                ),
                inputs,
            ),
            training=False,
        )
    # A batch of one size, say; the training says what is wrong, if it is.
    except Exception:
        return []
    return [
        keras.ops.convert_to_numpy(keras.ops.cast(output, "float32"))
        for output in keras.tree.flatten(outputs)
    ]


def _values(rng, shape, dtype, whole):
    """Numbers for a variable or an input; `whole` where they are no floats."""
    if not keras.backend.is_float_dtype(dtype):
        return np.full(shape, whole, dtype)
    if len(shape) < 2:
        # Variances are among them.
        return rng.uniform(0.5, 1.5, size=shape)
    return rng.normal(size=shape) / np.sqrt(max(np.prod(shape[:-1]), 1))
