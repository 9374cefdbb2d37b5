"""Checks of `tf.data` pipelines whose examples are to keep their places."""

import numpy as np

from keras_arl.noise.labels import check_fits

# Examples compared when a pipeline is checked for a stable order.
_PROBE = 64
_MOVED = (
    "The dataset yields its examples in another order, or changed, at each "
    "pass, so that a position does not tell which example it has: {} before "
    "`shuffle` and random augmentation, to files in a fixed order"
)


def find_label(dataset, name, num_classes):
    """Returns where the label is in a dataset's elements, or raises.

    Args:
        dataset: Unbatched `tf.data.Dataset`.
        name: Name of the label in elements that are dictionaries; `None`
            where they may be none.
        num_classes: Number of classes that its dtype is to hold.

    Returns:
        The pair of its key or position and its spec.
    """
    spec = dataset.element_spec
    if isinstance(spec, dict) and name in spec:
        place = name
    elif isinstance(spec, tuple) and len(spec) in (2, 3):
        place = 1
    else:
        dictionaries = f", or dictionaries with the label as {name!r}"
        raise ValueError(
            "The dataset must yield pairs (image, label), or triples with a "
            f"sample weight{dictionaries if name else ''}. "
            f"Received: element_spec={spec}"
        )
    label = spec[place]
    if getattr(label, "shape", None) not in ((), (1,)):
        raise ValueError(
            "Labels must be scalars: apply noise before batching, and to class "
            "indices, not to one-hot labels; for the masks of images use "
            f"`corrupt_labels` on arrays. Received: label spec {label}"
        )
    if not (label.dtype.is_integer or label.dtype.is_floating) and (
        label.dtype.name != "bool"
    ):
        raise ValueError(
            f"Labels must be integers. Received: label spec {label}"
        )
    check_fits(num_classes, label.dtype.as_numpy_dtype)
    return place, label


def with_label(element, place, label):
    """The element with another label, of the same form."""
    if isinstance(element, dict):
        return {**element, place: label}
    return (*element[:place], label, *element[place + 1 :])


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


def check_places(dataset, advice="apply noise"):
    """Has each example keep its place: now, and whenever the dataset is read.

    Args:
        dataset: Unbatched `tf.data.Dataset`.
        advice: What errors tell to do earlier. Defaults to `"apply noise"`.

    Returns:
        A function of the position and the element, for `map`. It raises
        `tf.errors.InvalidArgumentError` at a position that had another element
        when it was read before.

    Raises:
        ValueError: If two passes over the dataset differ where they begin, or
            it repeats examples.
    """
    import tensorflow as tf

    moved = _MOVED.format(advice)
    fingerprints = dataset.map(lambda *element: _fingerprint(element))
    first, second = (
        np.array([*fingerprints.take(_PROBE).as_numpy_iterator()])
        for _ in range(2)
    )
    if not np.array_equal(first, second):
        raise ValueError(
            f"{moved}. Received: two passes that differ within the first "
            f"{_PROBE} elements"
        )
    if _may_repeat(dataset):
        every = np.array([*fingerprints.as_numpy_iterator()])
        if len(np.unique(every)) < len(every):
            raise ValueError(
                "The dataset yields examples again, at several positions: "
                f"{advice} before `repeat`. Received: "
                f"{len(every)} examples, {len(np.unique(every))} different ones"
            )
    # Anonymous, so that it lives as long as the pipeline that uses it.
    known = tf.lookup.experimental.MutableHashTable(
        tf.int64, tf.int64, default_value=0, experimental_is_anonymous=True
    )

    def check(position, element):
        fingerprint = _fingerprint(element)
        before = known.lookup(position, dynamic_default_values=fingerprint)
        # Not `tf.debugging.Assert`, whose branch takes longer than the rest.
        tf.raw_ops.Assert(
            condition=before == fingerprint, data=[moved, position]
        )
        known.insert(position, fingerprint)

    return check


def _fingerprint(element):
    import tensorflow as tf

    parts = tf.nest.flatten(element, expand_composites=True)
    content = tf.strings.join([tf.io.serialize_tensor(part) for part in parts])
    return tf.strings.to_hash_bucket_fast(content, 2**63 - 1)


def _may_repeat(dataset):
    """Whether `repeat` is a part of a pipeline, or nothing is known."""
    import tensorflow as tf

    iterator = iter(dataset)
    next(iterator, None)
    try:
        nodes = tf.data.experimental.get_model_proto(iterator).nodes.values()
    # Where the tuning of pipelines is switched off.
    except tf.errors.NotFoundError:
        return True
    return any("Repeat" in node.name for node in nodes)
