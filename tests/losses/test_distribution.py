"""Losses under `tf.distribute`, on two processors made of one."""

import keras
import numpy as np
import pytest

from keras_arl import losses
from tests import processes


def compare():
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    y = np.arange(64) % 3

    def fitted(strategy):
        keras.utils.set_random_seed(0)
        # One that has a gradient of its own, and others.
        loss = losses.ActivePassive(
            losses.ARL(from_logits=True), losses.get("gce+sr", from_logits=True)
        )
        loss.hyper_variables()
        with strategy.scope():
            model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
            model.compile(keras.optimizers.SGD(0.1), loss)
        fitted = model.fit(x, y, 16, epochs=2, shuffle=False, verbose=0)
        return [*fitted.history["loss"], *model.get_weights()[0].ravel()]

    two = fitted(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    one = fitted(tf.distribute.get_strategy())
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5)
    print("equal")


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="strategies of TensorFlow"
)
def test_mirrored_training_is_that_of_one_device(tmp_path):
    log = tmp_path / "log"
    with processes.killed_at_the_end(processes.start(log, compare)) as started:
        started[0].join(200)
    assert log.read_text().strip().endswith("equal")
