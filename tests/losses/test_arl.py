import json
from functools import partial

import keras
import numpy as np
import pytest

from keras_arl import losses
from keras_arl.analysis import is_trainable
from keras_arl.losses import ARL
from keras_arl.losses import TaylorLoss
from tests.losses.reference import value_and_gradient

shipped = pytest.mark.parametrize(
    "make", [partial(ARL, version=version) for version in (1, 2, 3)]
)


@shipped
def test_it_is_the_file_that_ships(make):
    loss = make()
    content = json.loads(loss._file.read_text())
    assert isinstance(loss, TaylorLoss)
    assert list(loss.coefficients) == content["coefficients"]
    assert list(loss.center) == content["center"]
    assert loss.order == content["order"]
    assert loss.class_aware == content["class_aware"]
    assert loss.name == "arl"


@shipped
@pytest.mark.parametrize("num_classes", [2, 10, 100, 10_000])
def test_it_can_teach(make, num_classes):
    assert is_trainable(make(), num_classes)


@shipped
@pytest.mark.parametrize(
    ("num_classes", "low", "high"), [(3, 0.8, 1.1), (10, 0.99, 1.01),
                                     (100, 1, 2), (10_000, 1, 3)],
)  # fmt: skip
def test_it_pulls_about_as_hard_as_cross_entropy(make, num_classes, low, high):
    loss = make(from_logits=True, reduction="sum")
    logits = np.zeros((200, num_classes))
    logits[:, 0] = np.linspace(-5, 20, 200)
    labels = np.zeros(200, "int32")
    _, gradient = value_and_gradient(lambda z: loss(labels, z), logits)
    assert low < np.abs(gradient).max() < high


@pytest.mark.parametrize("num_classes", [3, 10, 1000])
@pytest.mark.parametrize("class_aware", [False, True])
def test_a_certain_right_prediction_costs_nothing(
    rng, num_classes, class_aware
):
    # Of the loss that ships, and of any other.
    loss = ARL() if class_aware else TaylorLoss(rng.normal(size=10), (0.3, 0.2))
    certain = np.eye(num_classes)[:3]
    for from_logits in (False, True):
        loss = type(loss).from_config(
            {**loss.get_config(), "from_logits": from_logits, "reduction": None}
        )
        for y_true in (np.arange(3), certain):
            values = loss(y_true, 1000 * certain if from_logits else certain)
            np.testing.assert_allclose(values, 0, atol=1e-6)


def test_the_constant_changes_no_gradient(rng):
    p, labels = rng.dirichlet(np.ones(5), size=8), rng.integers(5, size=8)
    config = ARL(from_logits=True).get_config()
    # As earlier versions saved it.
    del config["shifted"]
    before, after = ARL.from_config(config), ARL(from_logits=True)
    for y_true in (labels, np.eye(5)[labels]):
        (old, old_gradient), (new, gradient) = (
            value_and_gradient(partial(loss, y_true), np.log(p))
            for loss in (before, after)
        )
        assert old < 0 < new
        np.testing.assert_array_equal(gradient, old_gradient)


class Tempered(ARL):
    def __init__(self, temperature=2.0, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(self, y_true, y_pred):
        return super().call(y_true, y_pred / self.temperature)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


def test_a_subclass_comes_back_with_what_it_adds(rng):
    loss = Tempered(4.0, from_logits=True)
    loss.assign(2 * np.array(loss.coefficients))
    config = keras.saving.serialize_keras_object(loss)
    with keras.saving.custom_object_scope({"Tempered": Tempered}):
        again = keras.saving.deserialize_keras_object(config)
    logits, labels = rng.normal(size=(3, 5)), np.arange(3)
    assert again.get_config() == loss.get_config()
    np.testing.assert_array_equal(again(labels, logits), loss(labels, logits))


@shipped
def test_provenance_is_complete(make):
    provenance = make().provenance()
    assert "python examples/search_oracle.py --" in provenance["command"]
    assert f"--seed={provenance['seed']}" in provenance["command"]
    for name in ("commit", "scale", "seed", "versions", "score", "date"):
        assert provenance[name] not in (None, "", {})
    assert {**provenance, **provenance["search"]}["tasks"]


@shipped
def test_a_saved_model_keeps_its_numbers(make, tmp_path, monkeypatch):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, activation="softmax")]
    )
    loss = make()
    model.compile(optimizer="sgd", loss=loss)
    model.save(tmp_path / "model.keras")
    # As a later version that ships another loss.
    later = tmp_path / "later.json"
    losses.save(TaylorLoss([0, -1, 0], order=2), later)
    monkeypatch.setattr(type(loss), "_file", later)
    assert make().order == 2
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.loss) is type(loss)
    assert loaded.loss.get_config() == loss.get_config()


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


def test_an_unknown_version_is_refused():
    with pytest.raises(ValueError, match=r"`version`.*3\).*version=4"):
        ARL(version=4)
