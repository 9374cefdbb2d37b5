import json

import numpy as np
import pytest

from keras_arl import losses
from keras_arl.losses import TaylorLoss
from tests.losses.reference import taylor_sum

THETA = (0.1, -2.0, 3e-7, 0.0, 1234.5, -0.25)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "loss.json"
    loss = TaylorLoss(THETA, center=(0.1, -0.2), order=3)
    losses.save(loss, path, provenance={"seed": 7})
    return path


def test_load_reads_what_save_wrote(path):
    loss = losses.load(path, from_logits=True)
    assert loss.coefficients == THETA
    assert loss.center == (0.1, -0.2)
    assert loss.order == 3
    assert loss.from_logits
    assert json.loads(path.read_text())["provenance"] == {"seed": 7}


def test_class_aware_losses_come_back(tmp_path):
    path = tmp_path / "loss.json"
    losses.save(TaylorLoss(THETA, order=3, class_aware=True), path)
    assert losses.load(path).class_aware
    # A version that knows no such loss must not read it as another.
    assert json.loads(path.read_text())["version"] == 4


def test_all_that_a_loss_computes_by_comes_back(tmp_path):
    path = tmp_path / "loss.json"
    loss = losses.ARL(
        from_logits=True, ignore_class=255, axis=1, reduction="sum"
    )
    losses.save(loss, path)
    saved, again = loss.get_config(), losses.load(path).get_config()
    # A file is of a `TaylorLoss`, which has no version.
    del saved["version"]
    assert again == {**saved, "name": "taylor_loss"}
    # What is said holds.
    assert not losses.load(path, from_logits=False).from_logits


def test_files_of_earlier_versions_have_the_values_that_they_had(path, rng):
    content = json.loads(path.read_text())
    del content["settings"]
    labels, p = np.array([0, 2]), rng.dirichlet(np.ones(3), size=2)
    expected = taylor_sum(
        THETA, (0.1, -0.2), 3, np.eye(3)[labels], p, class_aware=False
    ).mean()
    for version in (3, 2, 1):
        if version == 1:
            del content["class_aware"]
        path.write_text(json.dumps({**content, "version": version}))
        loss = losses.load(path)
        assert loss.coefficients == THETA
        assert float(loss(labels, p)) == pytest.approx(expected, rel=1e-5)
        assert "L_0" not in loss.expression()
        shifted = losses.load(path, shifted=True)
        assert float(shifted(labels, np.eye(3)[labels])) == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "not a loss file"),
        ({"version": 7}, "version 7.*reads versions 1 to 6"),
        ({"settings": {}}, "settings must have shifted, .*{}"),
        ({"version": 2, "class_aware": True}, "version 2.*fewer than ten"),
        ({"class_aware": 1}, "class_aware must be true or false.*1"),
        ({"coefficients": [1.0]}, "6 finite numbers"),
        ({"coefficients": [None] * 6}, "6 finite numbers"),
        ({"coefficients": [np.nan] * 6}, "6 finite numbers"),
        ({"order": 9}, "1 to 6"),
        ({"third_variable": "age"}, "third_variable must be 'batch'.*'age'"),
        ({"center": [0.0]}, "center"),
    ],
)
def test_wrong_content_names_the_file(path, change, message):
    content = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message) as error:
        losses.load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\x00\x01"])
def test_foreign_files(path, text):
    path.write_text(text)
    with pytest.raises(ValueError, match="not a loss file"):
        losses.load(path)


def test_only_taylor_losses_are_saved(tmp_path):
    with pytest.raises(ValueError, match=r"hold a `TaylorLoss`.*GCE"):
        losses.save(losses.GCE(), tmp_path / "loss.json")


def test_missing_keys_and_files(path, tmp_path):
    content = json.loads(path.read_text())
    del content["center"]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="lacks center"):
        losses.load(path)
    with pytest.raises(FileNotFoundError):
        losses.load(tmp_path / "none.json")
