import os
import subprocess
import sys

import keras
import pytest

PROGRAM = """
import sys
import numpy as np
import keras_arl
keras_arl.search.CMAESOracle(seed=0)
keras_arl.training.Trainer()
task = keras_arl.tasks.build_task(keras_arl.tasks.sample_task(0))
T = keras_arl.noise.symmetric(0.1, 3)
keras_arl.noise.instance_dependent_labels(
    np.ones((6, 2)), np.arange(6) % 3, 0.3, 3, seed=0
)
keras_arl.noise.estimate_transition(T, np.arange(3))
keras_arl.analysis.asymmetry_ratio(keras_arl.losses.get("nce+rce"), 3)
keras_arl.analysis.plot_losses({"GCE": keras_arl.losses.GCE()})
loss = keras_arl.ARL()
loss(np.array([0, 1]), np.full((2, 2), 0.5))
print([m for m in ("tensorflow", "tensorflow_datasets") if m in sys.modules])
"""


@pytest.mark.skipif(
    keras.config.backend() == "tensorflow",
    reason="run by CI under the other backends",
)
def test_no_tensorflow_is_imported():
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "KERAS_BACKEND": keras.config.backend()},
    )
    assert result.stdout.strip() == "[]"
