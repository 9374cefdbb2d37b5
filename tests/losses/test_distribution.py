"""Losses under `tf.distribute`, on two processors made of one."""

import os
import subprocess
import sys

import keras
import pytest

PROGRAM = """
import keras, numpy as np, tensorflow as tf
from keras_arl import losses
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = np.arange(64) % 3

def fitted(strategy, name):
    keras.utils.set_random_seed(0)
    loss = losses.get(name, from_logits=True)
    loss.hyper_variables()
    with strategy.scope():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        model.compile(keras.optimizers.SGD(0.1), loss)
    history = model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    return [*history.history["loss"], *model.get_weights()[0].ravel()]

for name in ("arl", "gce+sr"):
    two = fitted(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), name)
    one = fitted(tf.distribute.get_strategy(), name)
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5, err_msg=name)
print("equal")
"""


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="strategies of TensorFlow"
)
def test_mirrored_training_is_that_of_one_device():
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().endswith("equal")
