"""Checks of `tf.data` pipelines whose examples are to keep their labels."""

# Labels compared when a pipeline is checked for a stable order.
_PROBE = 64


def check_pairs(dataset):
    """Returns the spec of the labels of a dataset of pairs, or raises."""
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise ValueError(
            "The dataset must yield pairs (image, label). "
            f"Received: element_spec={spec}"
        )
    label = spec[1]
    if not hasattr(label, "shape") or label.shape.rank != 0:
        raise ValueError(
            "Labels must be integer scalars: apply noise before batching, and "
            f"to class indices. Received: label spec {label}"
        )
    if not label.dtype.is_integer:
        raise ValueError(
            f"Labels must be integers. Received: label spec {label}"
        )
    return label


def check_cardinality(dataset):
    """Returns a dataset's number of examples, or raises."""
    cardinality = int(dataset.cardinality())
    if cardinality < 0:
        kind = "infinite" if cardinality == -1 else "unknown"
        raise ValueError(
            "The dataset must have a known, finite cardinality, so that each "
            "example keeps one label: apply noise before `repeat`, and "
            "`tf.data.experimental.assert_cardinality` after `filter` or "
            f"`from_generator`. Received: {kind} cardinality"
        )
    return cardinality


def check_order_is_stable(dataset):
    """Raises if two passes over a dataset differ where they begin."""
    labels = dataset.map(lambda image, label: label).take(_PROBE)
    first, second = (list(labels.as_numpy_iterator()) for _ in range(2))
    if first != second:
        raise ValueError(
            "The dataset yields its labels in another order at each pass, so "
            "that an example could not keep one label: apply noise before "
            "`shuffle`. Received: two passes that differ within the first "
            f"{_PROBE} elements"
        )
