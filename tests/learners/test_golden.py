"""The learners repeat the official programs' values.

`test_state.py` shows that steps compiled by TensorFlow do the same.
"""

import keras
import numpy as np
import pytest
from keras import ops

from keras_arl import learners
from keras_arl import losses
from keras_arl.learners import batch as batches
from keras_arl.losses.bi_tempered import BiTempered
from keras_arl.losses.poly_soft import PolySoft
from tests.learners import golden
from tests.learners.golden import GOLDEN

# JAX compiles the whole of a step in less time than its parts.
UNCOMPILED = {"run_eagerly": keras.config.backend() != "jax"}


def every_case(name):
    values = GOLDEN[name]
    return pytest.mark.parametrize("case", [*values.get("cases", values)])


def fit_steps(learner, rate):
    learner.compile(
        keras.optimizers.SGD(rate), metrics=["accuracy"], **UNCOMPILED
    )
    learner.fit(
        golden.X,
        golden.Y,
        batch_size=golden.BATCH_SIZE,
        shuffle=False,
        meta_data=golden.META,
        verbose=0,
    )


@every_case("l2b")
def test_l2b(case):
    values = GOLDEN["l2b"][case]
    config = values["config"]
    learner = learners.L2B(
        golden.network(case, values["before"]),
        warmup_epochs=0,
        normalization={"org": "sum"}.get(
            config["norm_type"], config["norm_type"]
        ),
        temperature=config["temperature"],
        pseudo_labels=config["reweight_label"],
        from_logits=True,
    )
    fit_steps(learner, config["lr"])
    golden.assert_weights(learner.model, values["steps"][1]["params_after"])


def test_l2b_weights():
    values = GOLDEN["l2b"]["mlp_plain_sgd_org"]
    learner = learners.L2B(
        golden.network("mlp", values["before"]),
        warmup_epochs=0,
        from_logits=True,
    )
    learner.compile(keras.optimizers.SGD(0.5))
    learner.set_learning_rate()
    x, y, meta = ops.convert_to_tensor(golden.X[:6]), golden.Y[:6], golden.META
    batch = batches.unpack(batches.with_meta(x, meta), np.int32(y), None)
    guesses = ops.cast(ops.argmax(learner.model(x), axis=-1), "int32")
    weights = learner.sample_weights(batch, guesses)
    golden.close(weights, values["steps"][0]["weight"])
    agrees = ops.convert_to_numpy(guesses) == y
    given, own = ops.convert_to_numpy(weights)
    np.testing.assert_array_equal(given[agrees], own[agrees])
    assert agrees.any()


ADAPTIVE = {
    "gce": lambda q: losses.GCE(q, from_logits=True),
    "sl": lambda a, b: losses.SCE(a, b, from_logits=True),
    "bi_tempered": lambda t1, t2: BiTempered(t1, t2, from_logits=True),
    "polysoft": lambda t, d: PolySoft(t, d, from_logits=True),
}


@every_case("adaptive_loss")
def test_adaptive_loss(case):
    values = GOLDEN["adaptive_loss"][case]
    kind = case.split("_", 1)[1]
    learner = learners.AdaptiveLoss(
        golden.network(case, values["before"]),
        loss=ADAPTIVE[kind](*values["hyper_before"]),
        meta_learning_rate=values["beta"],
    )
    fit_steps(learner, values["alpha"])
    after = values["steps"][1]
    golden.close(list(learner.hyperparameters.values()), after["hyper_after"])
    golden.assert_weights(learner.model, after["params_after"])
    learned = learner.learned_loss()
    assert type(learned) is type(learner.base_loss)
    numbers = [getattr(learned, name) for name in learner.hyperparameters]
    golden.close(numbers, after["hyper_after"])


def test_meta_weight_net():
    values = GOLDEN["meta_weight_net"]
    learner = learners.MetaWeightNet(
        golden.network("linear", values["before"]),
        hidden_units=4,
        meta_learning_rate=0.1,
        meta_weight_decay=0.0,
        meta_optimizer="sgd",
        from_logits=True,
    )
    for variable, value in zip(
        learner.net, values["vnet_before"].values(), strict=True
    ):
        variable.assign(np.transpose(value))
    fit_steps(learner, values["alpha"])
    after = values["steps"][1]
    golden.assert_weights(learner.model, after["params_after"])
    for variable, value in zip(
        learner.net, after["vnet_after"].values(), strict=True
    ):
        golden.close(variable, np.transpose(value))


def fed_step(learner, logits, epoch):
    """Fits one epoch of one batch; returns the loss and the gradient."""
    (kernel,) = learner.model.trainable_variables
    kernel.assign(logits)
    history = learner.fit(
        learner.dataset, initial_epoch=epoch, epochs=epoch + 1, verbose=0
    )
    gradient = np.array(logits) - ops.convert_to_numpy(kernel)
    return history.history["loss"][0], gradient


def feed(learner, values):
    learner.dataset = golden.Fed(values["labels"], values["index"])
    learner.compile(keras.optimizers.SGD(1.0), **UNCOMPILED)


@every_case("elr")
def test_elr(case):
    values = GOLDEN["elr"]
    beta, weight = (float(x.strip("abdelmt")) for x in case.split("_"))
    learner = learners.ELR(
        golden.fed_network(6),
        weight=weight,
        beta=beta,
        num_examples=8,
        from_logits=True,
    )
    feed(learner, values)
    for epoch, step in enumerate(values["cases"][case]):
        loss, gradient = fed_step(learner, step["logits"], epoch)
        golden.close(loss, step["loss"])
        golden.close(gradient, step["grad_logits"])
        golden.close(learner.targets, step["targets_after"])


@every_case("car_nal")
def test_confidence_branch(case):
    values = GOLDEN["car_nal"]
    config = values["cases"][case]["config"]
    learner = learners.ConfidenceBranch(
        golden.fed_network(6),
        penalty=config["lam"],
        reverse_weight=config["beta"],
        target_epoch=config["es"],
        target_momentum=config["momentum"],
        confidence_threshold=config["delta"],
        num_examples=8,
        from_logits=True,
    )
    feed(learner, values)
    branch = learner.get_layer("confidence")
    for step in values["cases"][case]["steps"]:
        confidences = np.array(step["confidence_logits"])
        branch.kernel.assign(confidences)
        branch.bias.assign([0.0])
        loss, gradient = fed_step(learner, step["logits"], step["epoch"] - 1)
        golden.close(loss, step["loss"])
        golden.close(gradient, step["grad_logits"])
        change = confidences - ops.convert_to_numpy(branch.kernel)
        golden.close(change, step["grad_confidence_logits"])
        visited = values["index"]
        golden.close(
            learner.targets[visited],
            np.array(step["targets_after"])[visited],
        )


@every_case("marvel")
def test_marvel(case):
    values = GOLDEN["marvel"]
    labels = values["labels"]
    learner = learners.Marvel(
        golden.fed_network(6),
        num_examples=6,
        from_logits=True,
        **values["cases"][case]["config"],
    )
    feed(learner, {**values, "index": range(6)})
    margins = []
    for epoch, expected in enumerate(values["cases"][case]["epochs"]):
        logits = np.array(values["logits_by_epoch"][epoch])
        _, gradient = fed_step(learner, logits, epoch)
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        weights = np.array(expected["weights"])[:, None]
        golden.close(gradient, weights * (p - np.eye(3)[labels]) / 6)
        golden.close(learner.margins, expected["margins"])
        np.testing.assert_array_equal(
            learner.abandoned, expected["abandoned_after"]
        )
        margins.append(expected["margins"])
    golden.close(learner.area_under_margin, np.mean(margins, axis=0))
    classes = np.eye(3)[labels]
    golden.close(
        learner.abandoned_by_class(),
        learner.abandoned @ classes / np.maximum(classes.sum(axis=0), 1),
    )
    indices, scores = learner.suspects(2)
    np.testing.assert_array_equal(
        indices, np.argsort(learner.area_under_margin)[:2]
    )
    golden.close(scores, -learner.area_under_margin[indices])


def test_bi_tempered_loss():
    values = GOLDEN["bi_tempered"]
    for case in values["values"]:
        loss = BiTempered(
            case["t1"], case["t2"], from_logits=True, reduction=None
        )
        logits, labels = np.array(values["logits"]), np.array(values["labels"])
        golden.close(loss(labels, logits), case["exact"])
        golden.close(loss(np.eye(3)[labels], logits), case["exact"])
