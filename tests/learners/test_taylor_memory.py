import json

import keras
import numpy as np
import pytest

from keras_arl import learners
from keras_arl import losses
from keras_arl.learners import arl_memory
from keras_arl.losses.taylor import polynomial

ORDER, BETA, POWER, START, WEIGHT = 3, 0.6, 1.5, 0.3, 0.8
CENTER = (0.2, 0.1)
rng = np.random.default_rng(0)
THETA = rng.normal(size=len(polynomial.exponents(ORDER)))
CHANGES = rng.normal(size=len(polynomial.change_exponents(ORDER)))
X = rng.normal(size=(8, 3)).astype("float32")
Y = rng.integers(4, size=8)
KERNEL = rng.normal(size=(3, 4))
# Graphs of TensorFlow cost seconds; not where a test is about something else.
UNCOMPILED = {"run_eagerly": keras.config.backend() == "tensorflow"}


def softmax(x):
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def expected_losses(kernel, memory, class_aware):
    """The documented formula in float64, the memory as it is after a visit."""
    p, y = softmax(X @ kernel), np.eye(4)[Y]
    u, v, weights = p, memory, 1.0
    if class_aware:
        # With fewer than ten classes, the exponent is that of ten.
        q = np.log(2) / np.log(10)
        u, v, weights = p**q, memory**q, (y + (1 - y) / 9) / q
    total = np.zeros_like(p)
    thetas = [
        ((i, j, 0), t) for (i, j), t in zip(polynomial.exponents(3), THETA)
    ]
    thetas += [*zip(polynomial.change_exponents(3), CHANGES)]
    for (i, j, k), theta in thetas:
        total += (
            theta * (u - CENTER[0]) ** i * (y - CENTER[1]) ** j * (v - 0.5) ** k
        )
    agreement = np.log(1 - (memory * p).sum(axis=-1))
    sureness = memory.max(axis=-1) ** POWER
    return (weights * total).sum(axis=-1) + WEIGHT * sureness * agreement


def visited(memory, kernel):
    return BETA * memory + (1 - BETA) * softmax(X @ kernel)


def made(class_aware, from_logits):
    outputs = keras.layers.Dense(
        4, None if from_logits else "softmax", use_bias=False
    )
    model = keras.Sequential([keras.Input((3,)), outputs])
    outputs.kernel.assign(KERNEL)
    loss = losses.TaylorLoss(
        THETA,
        CENTER,
        ORDER,
        class_aware,
        shifted=False,
        from_logits=from_logits,
    )
    return learners.TaylorMemory(
        model, CHANGES, WEIGHT, BETA, POWER, START, loss=loss
    )


@pytest.mark.parametrize(
    ("class_aware", "from_logits"), [(False, False), (True, True)]
)
def test_two_epochs_are_the_formula_and_its_gradient(class_aware, from_logits):
    learner = made(class_aware, from_logits)
    learner.compile(
        keras.optimizers.SGD(1.0), **({} if class_aware else UNCOMPILED)
    )
    logs = learner.fit(
        X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0
    ).history
    memory, kernel = np.full((8, 4), START / 4), KERNEL.copy()
    for epoch in range(2):
        memory = visited(memory, kernel)

        def mean(kernel, memory=memory):
            return expected_losses(kernel, memory, class_aware).mean()

        assert logs["loss"][epoch] == pytest.approx(mean(kernel), abs=1e-5)
        slopes = np.zeros_like(kernel)
        for place in np.ndindex(kernel.shape):
            # No gradient goes through the memory, which stays.
            step = np.zeros_like(kernel)
            step[place] = 1e-5
            slopes[place] = (mean(kernel + step) - mean(kernel - step)) / 2e-5
        kernel = kernel - slopes
    np.testing.assert_allclose(learner.targets, memory, atol=1e-5)
    np.testing.assert_allclose(
        learner.model.layers[-1].kernel, kernel, atol=1e-4
    )


def test_with_its_defaults_it_is_elr():
    found = []
    for kind in (learners.ELR, learners.TaylorMemory):
        model = keras.Sequential(
            [keras.Input((3,)), keras.layers.Dense(4, "softmax")]
        )
        model.layers[-1].kernel.assign(KERNEL)
        learner = kind(model)
        learner.compile(keras.optimizers.SGD(0.5), **UNCOMPILED)
        learner.fit(X, Y, batch_size=4, epochs=3, shuffle=False, verbose=0)
        found.append(keras.ops.convert_to_numpy(model.layers[-1].kernel))
    np.testing.assert_allclose(*found, atol=1e-6)


def test_a_file_brings_it_back(tmp_path):
    path = tmp_path / "memory.json"
    learner = made(class_aware=True, from_logits=False)
    learners.save(learner, path, provenance={"command": "mine"})
    again = learners.load(path, from_logits=True)(learner.model)
    assert again.base_loss.from_logits
    assert again.expression() == learner.expression()
    content = json.loads(path.read_text())
    assert content["provenance"] == {"command": "mine"}
    assert content["expression"].endswith(
        "v_c = t_c^q, plus 0.8 (max_c t_c)^1.5 log(1 - sum_c t_c p_c), "
        "t_c <- 0.6 t_c + 0.4 p_c, t_c = 0.3 / C at first"
    )
    path.write_text(json.dumps({**content, "beta": 1.0}))
    with pytest.raises(ValueError, match=r"memory.json: `beta` .*beta=1\.0"):
        learners.load(path)
    path.write_text(json.dumps({**content, "version": 9}))
    with pytest.raises(ValueError, match="has version 9"):
        learners.load(path)
    with pytest.raises(ValueError, match=r"hold a `TaylorMemory`.*ELR"):
        learners.save(learners.ELR, path)
    losses.save(losses.TaylorLoss([0, -1, 0], order=2), path)
    with pytest.raises(ValueError, match="not a file of a TaylorMemory"):
        learners.load(path)


def test_a_schedule_and_a_memory_at_once():
    moving = losses.ScheduledTaylorLoss(
        [0, -1, 0, 0, 0, 0], [0, 2.0, 0, 0], order=3
    )
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, "softmax")]
    )
    learner = learners.TaylorMemory(model, loss=moving, weight=0.5)
    learner.compile("adam", **UNCOMPILED)
    schedule = losses.LossSchedule(moving)
    learner.fit(X, Y, epochs=4, callbacks=[schedule], verbose=0)
    assert moving.progress == 0.875
    assert "s = share of the training that is done" in learner.expression()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"power": -1}, "`power` must be .* power=-1"),
        ({"start": 2}, "`start` must be .* start=2"),
        ({"changes": [1.0]}, "`changes` are of a `TaylorLoss`.*CrossEntropy"),
        (
            {
                "changes": [1.0, 2.0],
                "loss": losses.TaylorLoss([0, -1, 0], order=2),
            },
            r"`changes` must be 1 finite numbers.*\[1\.0, 2\.0\]",
        ),
    ],
)
def test_wrong_numbers(arguments, message):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    with pytest.raises(ValueError, match=message):
        learners.TaylorMemory(model, **arguments)


def test_the_one_that_ships_with_another_loss():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    learner = learners.ARLMemory(model, from_logits=True, loss="gce")
    assert repr(learner.base_loss) == "GCE(q=0.7, from_logits=True)"
    with pytest.raises(ValueError, match="`from_logits` must be as in `loss`"):
        learners.ARLMemory(model, from_logits=True, loss=losses.GCE())


def test_the_one_that_ships_is_its_file(monkeypatch, tmp_path):
    path = arl_memory._FILE
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    learner = learners.ARLMemory(model, from_logits=True)
    same = learners.load(path, from_logits=True)(model)
    assert learner.expression() == same.expression()
    assert learner.base_loss.from_logits
    provenance = learner.provenance()
    assert "python examples/search_oracle.py --" in provenance["command"]
    for name in ("commit", "seed", "versions", "score", "date"):
        assert provenance[name] not in (None, "", {})
    # A learner that was saved keeps its numbers when another one ships.
    learner.save(tmp_path / "learner.keras")
    later = tmp_path / "later.json"
    learners.save(made(class_aware=True, from_logits=False), later)
    monkeypatch.setattr(arl_memory, "_FILE", later)
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert loaded.expression() == same.expression()
