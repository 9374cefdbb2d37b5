"""What the device of `search_speed.py` can do, and how a step uses it."""

import pathlib
import tempfile
import time

import numpy as np
import search_speed_tasks as shared

_SIZE = 8192


def ceilings():
    """Name, float32 operations and bytes a second of Keras's device.

    Of the best of several large matrix products and copies, the precision of
    products being the backend's own.
    """
    import keras

    name = _accelerator()
    if name is None:
        square = np.ones((2048, 2048), "float32")
        large = np.ones(2**25, "float32")
        return (
            "CPU",
            2 * 2048**3 / _best(10, 1, lambda: square @ square),
            # Read and written.
            2 * large.nbytes / _best(10, 1, large.copy),
        )
    square = keras.ops.ones((_SIZE, _SIZE), "float32")

    def repeated(function, value, times):
        def run():
            result = value
            for _ in range(times):
                result = function(result)
            float(keras.ops.ravel(result[:1])[0])

        return _best(5, times, run)

    # So large that a call from Python takes less time than its work.
    large = keras.ops.ones((2**28,), "float32")
    return (
        name,
        2
        * _SIZE**3
        / repeated(lambda x: keras.ops.matmul(x, square), square, 50),
        2 * 4 * 2**28 / repeated(lambda x: x + 1.0, large, 20),
    )


def kernels(family, popsize, tasks):
    """Kernels that a step of a vectorised generation launches on a GPU.

    Returns:
        Their number a step, and the milliseconds a step that they take.
    """
    import jax
    import search_speed_keras as ours

    import keras_arl

    pairs = [
        (task, loss)
        for task in (ours.make_task(family, number) for number in range(tasks))
        for loss in ours.make_losses(popsize)
    ]
    trainer = keras_arl.training.Trainer(vectorize=True)
    list(trainer.evaluate_pairs(pairs))
    with tempfile.TemporaryDirectory() as directory:
        with jax.profiler.trace(directory):
            list(trainer.evaluate_pairs(pairs))
        (path,) = pathlib.Path(directory).rglob("*.xplane.pb")
        profile = jax.profiler.ProfileData.from_file(str(path))
        events = [
            event.duration_ns
            for plane in profile.planes
            if "GPU" in plane.name
            for line in plane.lines
            if line.name.startswith("Stream")
            for event in line.events
        ]
    return len(events) / shared.STEPS, sum(events) / 1e6 / shared.STEPS


def _accelerator():
    import keras

    if keras.config.backend() == "jax":
        import jax

        device = jax.devices()[0]
        return None if device.platform == "cpu" else device.device_kind
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    details = tf.config.experimental.get_device_details(gpus[0])
    return details.get("device_name", "GPU")


def _best(repeats, times, function):
    """Seconds of one of `times` repetitions, in the best run."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best / times
