import json

import keras
import numpy as np
import pytest

import keras_arl
from keras_arl.analysis import is_trainable
from keras_arl.losses import ARL
from keras_arl.losses import TaylorLoss
from keras_arl.losses import arl_provenance
from keras_arl.losses.taylor import arl as arl_module
from tests.losses.reference import value_and_gradient


def test_six_lines_of_the_readme(rng):
    x = rng.normal(size=(512, 4)).astype("float32")
    labels = (x[:, 0] > 0).astype("int64") + (x[:, 1] > 0)
    model = keras.Sequential(
        [
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras_arl.ARL(),
        metrics=["accuracy"],
    )
    history = model.fit(x, labels, epochs=20, verbose=0).history
    assert history["accuracy"][-1] > 0.85


def test_it_is_the_file_that_ships():
    content = json.loads(arl_module._ARL_FILE.read_text())
    loss = ARL()
    assert isinstance(loss, TaylorLoss)
    assert list(loss.coefficients) == content["coefficients"]
    assert list(loss.center) == content["center"]
    assert loss.order == content["order"]
    assert loss.class_aware == content["class_aware"]
    assert loss.name == "arl"


@pytest.mark.parametrize("num_classes", [2, 10, 100, 10_000])
def test_it_can_teach(num_classes):
    assert is_trainable(ARL(), num_classes)


@pytest.mark.parametrize(
    ("num_classes", "low", "high"), [(3, 0.8, 1.1), (10, 0.99, 1.01),
                                     (100, 1, 2), (10_000, 1, 3)],
)  # fmt: skip
def test_it_pulls_about_as_hard_as_cross_entropy(num_classes, low, high):
    loss = ARL(from_logits=True, reduction="sum")
    logits = np.zeros((200, num_classes))
    logits[:, 0] = np.linspace(-5, 20, 200)
    labels = np.zeros(200, "int32")
    _, gradient = value_and_gradient(lambda z: loss(labels, z), logits)
    assert low < np.abs(gradient).max() < high


def test_provenance_is_complete():
    provenance = arl_provenance()
    assert "python examples/search_oracle.py --" in provenance["command"]
    assert f"--seed={provenance['seed']}" in provenance["command"]
    for name in (
        "commit",
        "scale",
        "seed",
        "versions",
        "tasks",
        "score",
        "date",
    ):
        assert provenance[name] not in (None, "", {})


def test_a_saved_model_keeps_its_coefficients(rng, tmp_path, monkeypatch):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, activation="softmax")]
    )
    model.compile(optimizer="sgd", loss=keras_arl.ARL())
    model.save(tmp_path / "model.keras")
    shipped = ARL().coefficients
    # As a later version that ships another loss.
    later = tmp_path / "arl.json"
    keras_arl.losses.save(TaylorLoss([0, -1, 0], order=2), later)
    monkeypatch.setattr(arl_module, "_ARL_FILE", later)
    assert ARL().order == 2
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.loss) is ARL
    assert loaded.loss.coefficients == shipped


def test_equals_the_taylor_loss_of_its_coefficients(rng):
    loss = ARL(reduction=None)
    same = TaylorLoss(
        loss.coefficients,
        loss.center,
        loss.order,
        class_aware=loss.class_aware,
        reduction=None,
    )
    p = rng.dirichlet(np.ones(10), size=4)
    labels = rng.integers(10, size=4)
    np.testing.assert_array_equal(loss(labels, p), same(labels, p))
