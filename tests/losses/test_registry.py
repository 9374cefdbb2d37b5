import keras
import numpy as np
import pytest

from keras_arl import losses
from keras_arl.losses import get


def test_names_give_their_losses():
    assert type(get("arl")) is losses.ARL
    assert get("ARL", from_logits=True).from_logits
    assert get("label_smoothing").label_smoothing == 0.1
    assert get("label_smoothing", label_smoothing=0.3).label_smoothing == 0.3
    assert type(get("mae")) is losses.MAE
    loss = get("nfl+aul", passive={"a": 3}, active={"gamma": 1}, beta=2)
    assert type(loss) is losses.ActivePassive
    assert (loss.active.gamma, loss.passive.a, loss.beta) == (1.0, 3.0, 2.0)
    loss = get("sce+sr", loss={"alpha": 2}, temperature=0.2, reduction="sum")
    assert type(loss) is losses.SparseRegularization
    assert (loss.loss.alpha, loss.temperature) == (2.0, 0.2)
    assert loss.reduction == "sum"


def test_names_are_read_from_left_to_right():
    loss = get("ce+eps+mae", active={"m": 10}, alpha=2)
    assert type(loss) is losses.ActivePassive
    assert type(loss.active) is losses.EpsilonSoftmax
    assert (loss.active.m, loss.alpha, loss.beta) == (10.0, 2.0, 1.0)
    # What is given of a part leaves its other published settings.
    assert get("focal+eps+mae", active={"m": 10}).active.loss.gamma == 0.1
    loss = get("nce+mae+lc", norm=2, loss={"beta": 3}, from_logits=True)
    assert type(loss) is losses.LogitClipping
    assert (loss.norm, loss.loss.beta, loss.from_logits) == (2.0, 3.0, True)


def test_every_exported_loss_is_registered():
    exported = {
        thing
        for name in losses.__all__
        if isinstance(thing := getattr(losses, name), type)
        and issubclass(thing, keras.losses.Loss)
        # Polynomials of a third variable, whose numbers a name does not bring.
    } - {
        losses.BatchTaylorLoss,
        losses.ClassificationLoss,
        losses.ScheduledTaylorLoss,
    }
    arguments = {
        "backward_correction": {"transition": np.eye(2)},
        "forward_correction": {"transition": np.eye(2)},
        "taylor": {"coefficients": np.zeros(10)},
    }
    registered = {
        type(get(name, **arguments.get(name, {}))) for name in losses.names()
    }
    assert registered == exported


@pytest.mark.parametrize(
    "dataset", ["mnist", "cifar10", "cifar100", "webvision", "clothing1m"]
)
def test_published_settings_are_arguments_of_their_losses(dataset):
    settings = losses.published_settings(dataset)
    for name, delta in settings.pop("l1_regularization", {}).items():
        assert name in settings
        assert 0 < delta < 1e-3

    def check(config, settings):
        for key, value in settings.items():
            if isinstance(value, dict):
                check(config[key]["config"], value)
            else:
                assert config[key] == value

    for name, arguments in settings.items():
        assert name in losses.names()
        check(get(name, dataset=dataset).get_config(), arguments)


def test_published_settings_by_dataset():
    # Wang et al. 2019, Ma et al. 2020 and Zhou et al. 2021.
    sce = get("sce", "cifar100")
    assert (sce.alpha, sce.beta) == (6.0, 0.1)
    nce_rce = get("nce+rce", "mnist", from_logits=True)
    assert (nce_rce.alpha, nce_rce.beta) == (1.0, 10.0)
    assert nce_rce.from_logits
    aul = get("nce+aul", "cifar100")
    assert (aul.alpha, aul.beta) == (10.0, 0.015)
    assert (aul.passive.a, aul.passive.q) == (6.0, 3.0)
    assert get("nce+aul", "cifar100", beta=1).beta == 1.0
    assert get("gce", "cifar100").q == 0.7
    # Ye et al. 2023 and Wang et al. 2025.
    anl = get("nce+nnce+er", "cifar100")
    assert (anl.loss.alpha, anl.loss.beta, anl.weight) == (10.0, 1.0, 0.01)
    jal = get("nfl+amse", "cifar100", from_logits=True)
    assert (jal.alpha, jal.beta, jal.passive.a) == (5.0, 1.0, 20.0)
    assert get("sce", "clothing1m").log_zero == -9.21


def test_what_is_given_leaves_the_other_published_settings():
    loss = get("nce+agce", "cifar100", passive={"a": 3})
    assert (loss.passive.a, loss.passive.q) == (3.0, 3.0)
    assert get("gce+sr", "cifar100", loss={}).loss.q == 0.001
    assert get("gce+sr", loss={"q": 0.5}).loss.q == 0.5


def test_parts_of_what_is_not_published_have_their_settings():
    agce = get("nfl+agce", "mnist").passive
    assert (agce.a, agce.q) == (4.0, 0.2)
    sce = get("nce+sce", "cifar100")
    assert (sce.passive.alpha, sce.passive.beta) == (6.0, 0.1)
    assert (sce.alpha, sce.beta) == (1.0, 1.0)


def test_published_settings_cannot_be_changed_from_outside():
    losses.published_settings("mnist")["sce"]["alpha"] = 100.0
    assert get("sce", "mnist").alpha == 0.01


def test_losses_of_keras():
    assert isinstance(
        get("CategoricalCrossentropy"), keras.losses.CategoricalCrossentropy
    )
    loss = losses.ARL()
    assert get(loss) is loss


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("alr",), r"Unknown loss 'alr'.*arl"),
        (("nce+alr",), r"Unknown loss 'nce\+alr'"),
        (("nce+mae+rce",), r'named "a\+b".*nce\+mae\+rce'),
        (("sr",), '"sr" stands behind the loss'),
        (("sr+ce",), '"sr" stands behind the loss'),
        (("gce", "imagenet"), "published for.*dataset='imagenet'"),
        (("mse", "mnist"), r"'mse' with \['dataset'\]"),
    ],
)
def test_unknown_names(arguments, message):
    with pytest.raises(ValueError, match=message):
        get(*arguments)


def test_arguments_for_losses_of_keras():
    with pytest.raises(ValueError, match=r"'mse' with \['from_logits'\]"):
        get("mse", from_logits=True)
