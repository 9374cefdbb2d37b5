import dataclasses
import functools
import gc
import mmap
import pathlib
import weakref

import keras
import numpy as np
import pytest

import keras_arl
from keras_arl.losses import TaylorLoss
from keras_arl.tasks import Task
from keras_arl.training import PlainTrainer
from keras_arl.training import Trainer
from keras_arl.training import fitting
from keras_arl.training import mappings
from keras_arl.training.fitting import TrainingDivergedError
from tests.training.models import NUM_CLASSES
from tests.training.models import SIZE
from tests.training.models import cnn
from tests.training.models import images
from tests.training.models import mlp
from tests.training.models import task

BACKEND = keras.config.backend()
# What reassociated sums may change: three of 300 examples.
BOUND = 0.0 if BACKEND != "jax" else 0.0101

on_tensorflow = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="a program for TensorFlow"
)
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="a program for JAX")
compiled = pytest.mark.skipif(
    BACKEND == "torch", reason="nothing is compiled on PyTorch"
)

MODELS = {
    "mlp": mlp,
    "mlp with dropout": functools.partial(mlp, dropout=0.3, normalized=True),
    "cnn": cnn,
}
LOSSES = {
    "order 4": TaylorLoss([0, -1, 0, 0.5, 0, 0, 0, 0, 0, 0], order=4),
    "other order 4": TaylorLoss([0, -2, 0, 0, 0, 0.5, 0, 0, 0, 0], order=4),
    "order 2": TaylorLoss([0, -1.5, 0], order=2),
    "gce": keras_arl.losses.GCE(),
    "keras": keras.losses.SparseCategoricalCrossentropy(),
}


@pytest.fixture(scope="module")
def trainer():
    return Trainer()


@pytest.mark.parametrize("model", MODELS)
def test_it_reports_what_a_new_model_reports(trainer, model):
    for seed, name in ((0, "order 4"), (1, "other order 4"), (0, "gce")):
        problem = task(MODELS[model], seed, architecture=model)
        loss = LOSSES[name]
        expected = problem.evaluate(loss, last_epochs=2)
        found = trainer.evaluate(problem, loss, last_epochs=2)
        assert found == pytest.approx(expected, abs=BOUND + 1e-12)
        # Again, on a program that has trained.
        assert trainer.evaluate(problem, loss, last_epochs=2) == found


def test_accuracies_are_worth_comparing(trainer):
    accuracies = {
        trainer.evaluate(task(mlp, seed, architecture="mlp"), loss)
        for seed in (0, 1)
        for loss in LOSSES.values()
    }
    assert len(accuracies) > 5
    assert max(accuracies) > 0.6


@on_tensorflow
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_whole_epochs_in_xla(model):
    trainer = Trainer(jit_compile=True)
    for seed, name in ((0, "order 4"), (1, "other order 4")):
        problem = task(MODELS[model], seed, architecture=model)
        expected = problem.evaluate(LOSSES[name], last_epochs=3)
        found = trainer.evaluate(problem, LOSSES[name], last_epochs=3)
        assert found == pytest.approx(expected, abs=0.0101)


@on_tensorflow
def test_dropout_in_xla_is_that_of_keras_in_xla():
    problem = task(MODELS["mlp with dropout"], seed=1)
    loss = LOSSES["order 4"]
    model = fitting.compiled_model(problem, loss, jit_compile=True)
    expected = np.mean(fitting.fit(model, fitting.data_of(problem), 4, 3))
    # Other masks than without XLA, in Keras itself.
    assert abs(expected - problem.evaluate(loss, last_epochs=3)) > 0.0101
    found = Trainer(jit_compile=True).evaluate(problem, loss, last_epochs=3)
    assert found == pytest.approx(expected, abs=0.0101)


class Counting(keras.layers.Layer):
    """Counts how often Python, not a compiled program, runs it."""

    calls = 0

    def call(self, x):
        Counting.calls += 1
        return x


def counting_model():
    model = mlp()
    return keras.Sequential([keras.Input(SIZE), Counting(), *model.layers])


@compiled
@pytest.mark.parametrize("jit_compile", [False, True])
def test_candidates_seeds_and_rates_are_no_reason_to_trace(jit_compile):
    trainer = Trainer(jit_compile=jit_compile)

    def run(seed, rate):
        problem = task(
            counting_model,
            seed,
            optimizer=keras.optimizers.Adam(rate),
            architecture="counting",
        )
        # Building the model for its initial weights calls the layer too.
        built = trainer._prepare(problem).start
        Counting.calls = 0
        for weight in (-1.0, -0.5):
            loss = TaylorLoss([0, weight, 0], order=2)
            trainer.evaluate(problem, loss)
        del built
        return Counting.calls

    assert run(0, 0.01) > 0
    assert [run(seed, 0.01 * seed) for seed in (1, 2, 3)] == [0, 0, 0]


@compiled
def test_tasks_without_a_name_share_nothing_with_others():
    trainer = Trainer()
    loss = LOSSES["order 4"]
    first, second = task(mlp), task(functools.partial(mlp, normalized=True))
    for problem in (first, second, first, second):
        expected = problem.evaluate(loss)
        found = trainer.evaluate(problem, loss)
        assert found == pytest.approx(expected, abs=BOUND + 1e-12)


def test_a_task_is_not_kept_alive():
    trainer = Trainer()
    problem = task(mlp)
    trainer.evaluate(problem, LOSSES["order 2"])
    reference = weakref.ref(problem)
    del problem
    gc.collect()
    assert reference() is None


def test_divergence_is_told_and_forgotten(trainer):
    problem = task(mlp, architecture="mlp")
    # Larger than float32 at the first step.
    infinite = TaylorLoss([0, -1e38, 0, 0, 0, 0, 3e38, 0, 0, 0], order=4)
    message = "diverged: loss became .* within 1 of 4 epochs"
    for evaluate in (
        problem.evaluate,
        functools.partial(trainer.evaluate, problem),
    ):
        with pytest.raises(TrainingDivergedError, match=message):
            evaluate(infinite)
    loss = LOSSES["order 4"]
    assert trainer.evaluate(problem, loss) == pytest.approx(
        problem.evaluate(loss), abs=BOUND + 1e-12
    )


def test_a_loss_that_changes_later_is_the_callers_own(trainer):
    problem = task(mlp, architecture="mlp")
    loss = TaylorLoss([0, -1.0, 0], order=2)
    first = trainer.evaluate(problem, loss)
    other = TaylorLoss([0, 0.5, 0], order=2)
    assert trainer.evaluate(problem, other) != first
    assert loss.coefficients == (0.0, -1.0, 0.0)
    assert trainer.evaluate(problem, loss) == first


def test_regularisation_counts(trainer):
    def regularised():
        model = mlp()
        layer = keras.layers.Dense(
            NUM_CLASSES,
            activation="softmax",
            kernel_regularizer=keras.regularizers.L2(1.0),
        )
        return keras.Sequential([keras.Input(SIZE), *model.layers[:-1], layer])

    loss = LOSSES["order 4"]
    strong = task(regularised, architecture="regularised", epochs=8)
    expected = strong.evaluate(loss)
    assert expected != task(mlp, epochs=8).evaluate(loss)
    assert trainer.evaluate(strong, loss) == pytest.approx(
        expected, abs=BOUND + 1e-12
    )


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(0.1, 20), clipnorm=1.0
        ),
        keras.optimizers.Adam(0.02, use_ema=True),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.02)),
    ],
    ids=["sgd", "schedule", "ema", "loss scale"],
)
def test_optimizers(trainer, optimizer):
    for seed in (0, 1):
        problem = task(mlp, seed, optimizer=optimizer, architecture="mlp")
        expected = problem.evaluate(LOSSES["order 4"])
        found = trainer.evaluate(problem, LOSSES["order 4"])
        assert found == pytest.approx(expected, abs=BOUND + 1e-12)


def test_one_hot_and_integer_labels_of_one_architecture(trainer):
    integer = task(mlp, architecture="mlp")
    one_hot = dataclasses.replace(
        integer,
        train=(integer.train[0], np.eye(3, dtype="float32")[integer.train[1]]),
        validation=(
            integer.validation[0],
            np.eye(3, dtype="float32")[integer.validation[1]],
        ),
    )
    for problem in (integer, one_hot, integer):
        found = trainer.evaluate(problem, LOSSES["order 4"])
        assert found == pytest.approx(
            problem.evaluate(LOSSES["order 4"]), abs=BOUND + 1e-12
        )


class SignedLoss(keras.losses.Loss):
    """A loss whose configuration does not tell its instances apart."""

    def __init__(self, sign):
        super().__init__()
        self.sign = sign
        self.loss = keras_arl.losses.GCE()

    def call(self, y_true, y_pred):
        return self.sign * self.loss.call(y_true, y_pred)


@pytest.mark.parametrize("kind", ["signed", "taylor", "regularised"])
def test_losses_that_their_configurations_do_not_tell_apart(trainer, kind):
    if kind == "signed":
        losses = [SignedLoss(1.0), SignedLoss(-1.0)]
    elif kind == "taylor":

        class Signed(TaylorLoss):
            sign = 1.0

            def index_loss(self, labels, predictions):
                return self.sign * super().index_loss(labels, predictions)

        losses = [Signed([0, -1.0, 0], order=2), Signed([0, -1.0, 0], order=2)]
        losses[1].sign = -1.0
    else:
        gce = keras_arl.losses.GCE()
        losses = [
            keras_arl.losses.SparseRegularization(gce, weight=0.0)
            for _ in range(2)
        ]
        losses[1].current_weight = 50.0
    problem = task(mlp, architecture="mlp", epochs=6)
    expected = [problem.evaluate(loss) for loss in losses]
    assert expected[0] != expected[1]
    for _ in range(2):
        found = [trainer.evaluate(problem, loss) for loss in losses]
        assert found == pytest.approx(expected, abs=BOUND + 1e-12)


@compiled
def test_a_weight_that_grows_between_trainings(trainer):
    loss = keras_arl.losses.SparseRegularization(
        keras_arl.losses.GCE(), weight=0.0
    )
    problem = task(mlp, architecture="mlp", epochs=6)
    accuracies = []
    for weight in (0.0, 50.0):
        loss.current_weight = weight
        accuracies.append(trainer.evaluate(problem, loss))
    assert accuracies[0] != accuracies[1]


class NoisyInput(keras.layers.Layer):
    """Random in training and in evaluation, from a seed of its own."""

    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(5)

    def call(self, x):
        shape = keras.ops.shape(x)
        return x + keras.random.normal(shape, stddev=0.5, seed=self.seeds)


@pytest.mark.parametrize("built", [False, True])
def test_seeds_advance_as_in_a_new_model(trainer, built):
    def model():
        layers = [NoisyInput(), *mlp().layers]
        return keras.Sequential(
            [keras.Input(SIZE), *layers] if built else layers
        )

    problem = task(model, architecture=("noisy", built), epochs=3)
    loss = LOSSES["order 4"]
    expected = problem.evaluate(loss, last_epochs=2)
    for _ in range(2):
        found = trainer.evaluate(problem, loss, last_epochs=2)
        assert found == pytest.approx(expected, abs=BOUND + 1e-12)


def test_structured_inputs(trainer):
    def two_inputs():
        a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
        x = keras.layers.Concatenate()([a, b])
        outputs = keras.layers.Dense(2, activation="softmax")(x)
        return keras.Model({"a": a, "b": b}, outputs)

    rng = np.random.default_rng(0)
    x = {
        "a": rng.normal(size=(70, 4)).astype("float32"),
        "b": rng.normal(size=(70, 2)).astype("float32"),
    }
    y = (x["a"][:, 0] + x["b"][:, 0] > 0).astype("int64")
    problem = Task(
        train=(x, y),
        validation=(x, y),
        build_model=two_inputs,
        num_classes=2,
        optimizer=keras.optimizers.Adam(0.1),
        epochs=5,
    )
    expected = problem.evaluate(LOSSES["order 4"])
    assert expected > 0.8
    found = trainer.evaluate(problem, LOSSES["order 4"])
    assert found == pytest.approx(expected, abs=BOUND + 1e-12)


class OwnStep(keras.Sequential):
    """Trains on nothing: every gradient is dropped."""

    def train_step(self, *args):
        kept = [keras.ops.copy(v) for v in self.trainable_variables]
        result = super().train_step(*args)
        for variable, value in zip(self.trainable_variables, kept, strict=True):
            variable.assign(value)
        return result


@on_tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_models_own_train_step_is_used(jit_compile):
    problem = task(lambda: OwnStep(mlp().layers), epochs=3)
    trained = task(mlp, epochs=3).evaluate(LOSSES["gce"])
    expected = problem.evaluate(LOSSES["gce"])
    assert expected != trained
    trainer = Trainer(jit_compile=jit_compile)
    assert trainer.evaluate(problem, LOSSES["gce"]) == expected


def test_pipelines(trainer):
    tf = pytest.importorskip("tensorflow")
    x, y = images(120, seed=0)

    def problem(architecture):
        # Of a model that is not built before it sees data.
        def model():
            return keras.Sequential(mlp().layers)

        tf.random.set_seed(3)
        pairs = tf.data.Dataset.from_tensor_slices((x, y))
        return Task(
            train=pairs.shuffle(120, seed=1).batch(25),
            validation=pairs.batch(50),
            build_model=model,
            num_classes=NUM_CLASSES,
            epochs=3,
            architecture=architecture,
        )

    loss = LOSSES["order 4"]
    expected = problem(None).evaluate(loss)
    for architecture in (None, "piped", "piped"):
        assert trainer.evaluate(problem(architecture), loss) == expected


def test_functions_and_names_of_losses(trainer):
    problem = task(mlp, architecture="mlp")

    def own(y_true, y_pred):
        labels = keras.ops.cast(y_true, "int32")
        labelled = y_pred * keras.ops.one_hot(labels, NUM_CLASSES)
        return 1.0 - keras.ops.sum(labelled, axis=-1)

    name = "sparse_categorical_crossentropy"
    for loss in (name, own, [name]):
        assert trainer.evaluate(problem, loss) == problem.evaluate(loss)
    listed = list(trainer.evaluate_all(problem, [[name], [name]]))
    assert listed == [problem.evaluate(name)] * 2


@compiled
def test_old_programs_are_dropped():
    trainer = Trainer(max_programs=2)
    for name in ("a", "b", "c", "a"):
        trainer.evaluate(task(mlp, architecture=name), LOSSES["order 2"])
    assert len(trainer._programs) == 2


@compiled
@pytest.mark.skipif(
    not pathlib.Path("/proc/self/maps").exists(), reason="Linux has the limit"
)
def test_programs_are_dropped_where_mappings_are_scarce():
    trainer = Trainer()
    for name in "abcd":
        trainer.evaluate(task(mlp, architecture=name), LOSSES["order 2"])
    assert not mappings.are_scarce()
    limit = int(pathlib.Path("/proc/sys/vm/max_map_count").read_text())
    # Shared ones, which the kernel does not merge.
    taken = [mmap.mmap(-1, mmap.PAGESIZE) for _ in range(limit // 2)]
    assert mappings.are_scarce()
    trainer.evaluate(task(mlp, architecture="e"), LOSSES["order 2"])
    assert len(trainer._programs) == 3
    for each in taken:
        each.close()
    assert not mappings.are_scarce()


def test_all_losses_of_a_list(trainer):
    problem = task(mlp, architecture="mlp")
    infinite = TaylorLoss([0, -1e38, 0, 0, 0, 0, 3e38, 0, 0, 0], order=4)
    losses = [LOSSES["order 4"], infinite, LOSSES["gce"]]
    for some in (trainer, PlainTrainer()):
        first, second, third = some.evaluate_all(problem, losses)
        assert first == some.evaluate(problem, losses[0])
        assert isinstance(second, TrainingDivergedError)
        assert third == some.evaluate(problem, losses[2])
        assert list(some.evaluate_all(problem, [])) == []


@on_jax
@pytest.mark.parametrize("model", MODELS)
def test_losses_trained_together(trainer, model):
    vectorized = Trainer(vectorize=True)
    infinite = TaylorLoss([0, -1e38, 0, 0, 0, 0, 3e38, 0, 0, 0], order=4)
    losses = [LOSSES["order 4"], LOSSES["other order 4"], infinite]
    problem = task(MODELS[model], architecture=model)
    together = list(vectorized.evaluate_all(problem, losses, last_epochs=2))
    # In threads, and as if there were no other loss.
    threaded = list(trainer.evaluate_all(problem, losses, last_epochs=2))
    alone = [trainer.evaluate(problem, loss, 2) for loss in losses[:2]]
    assert threaded[:2] == alone
    assert together[:2] == pytest.approx(alone, abs=BOUND)
    assert isinstance(threaded[2], TrainingDivergedError)
    assert str(together[2]) == str(threaded[2])
    # Losses that are more than other coefficients are trained alone.
    mixed = [LOSSES["order 4"], LOSSES["gce"]]
    assert list(vectorized.evaluate_all(problem, mixed)) == [
        trainer.evaluate(problem, loss) for loss in mixed
    ]


@on_jax
def test_the_number_of_losses_is_no_reason_to_trace():
    trainer = Trainer(vectorize=True)
    problem = task(counting_model, architecture="counting")
    losses = [TaylorLoss([0, -0.1 * k, 0], order=2) for k in range(1, 6)]
    five = list(trainer.evaluate_all(problem, losses))
    Counting.calls = 0
    assert list(trainer.evaluate_all(problem, losses[:3])) == five[:3]
    assert Counting.calls == 0


@on_jax
def test_a_model_that_cannot_be_vectorised_falls_back(trainer):
    import jax

    class Callback(keras.layers.Layer):
        """A function of the host, which JAX cannot vectorise."""

        def call(self, x):
            @jax.custom_jvp
            def host(x):
                shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
                return jax.pure_callback(np.asarray, shape, x)

            host.defjvp(lambda xs, ts: (host(*xs), ts[0]))
            return host(x)

    def model():
        return keras.Sequential(
            [keras.Input(SIZE), *mlp().layers[:2], Callback(), mlp().layers[2]]
        )

    vectorized = Trainer(vectorize=True)
    problem = task(model, epochs=1, architecture="callback")
    losses = [LOSSES["order 4"], LOSSES["other order 4"]]
    with pytest.warns(UserWarning, match="cannot be vectorised.*one at a time"):
        together = list(vectorized.evaluate_all(problem, losses))
    # Once is enough.
    assert list(vectorized.evaluate_all(problem, losses)) == together
    assert together == [trainer.evaluate(problem, loss) for loss in losses]


@on_jax
def test_convolutions_that_stay_convolutions(trainer):
    def depthwise():
        return keras.Sequential(
            [
                keras.Input(SIZE),
                keras.layers.DepthwiseConv2D(3),
                keras.layers.Flatten(),
                keras.layers.Dense(NUM_CLASSES, activation="softmax"),
            ]
        )

    problem = task(depthwise, architecture="depthwise")
    expected = problem.evaluate(LOSSES["order 4"], last_epochs=2)
    found = trainer.evaluate(problem, LOSSES["order 4"], last_epochs=2)
    assert found == pytest.approx(expected, abs=BOUND)


class OwnStepOnJax(keras.Sequential):
    """Trains on nothing."""

    def train_step(self, state, data):
        logs, _ = super().train_step(state, data)
        return logs, state


class OwnLoss(keras.Sequential):
    """Learns the labels upside down."""

    def compute_loss(self, *args, **kwargs):
        return -super().compute_loss(*args, **kwargs)


@on_jax
@pytest.mark.parametrize("kind", [OwnStepOnJax, OwnLoss])
def test_what_a_model_does_otherwise_is_done_on_jax(kind):
    problem = task(lambda: kind(mlp().layers), epochs=3)
    ordinary = task(mlp, epochs=3).evaluate(LOSSES["gce"])
    expected = problem.evaluate(LOSSES["gce"])
    assert expected < ordinary
    losses = [LOSSES["order 4"], LOSSES["other order 4"]]
    for trainer in (Trainer(), Trainer(vectorize=True)):
        assert trainer.evaluate(problem, LOSSES["gce"]) == expected
        assert list(trainer.evaluate_all(problem, losses)) == [
            problem.evaluate(loss) for loss in losses
        ]


@compiled
def test_one_name_for_two_architectures_is_refused():
    trainer = Trainer()
    trainer.evaluate(task(mlp, architecture="net"), LOSSES["order 2"])
    message = r"one `architecture` must have the same model.*\(64, 16\)"
    with pytest.raises(ValueError, match=message):
        trainer.evaluate(task(cnn, architecture="net"), LOSSES["order 2"])


@on_tensorflow
def test_what_xla_cannot_compile_falls_back():
    import tensorflow as tf

    class Host(keras.layers.Layer):
        def call(self, x):
            shape = x.shape
            x = tf.py_function(lambda a: a, [x], x.dtype)
            x.set_shape(shape)
            return x

    def model():
        return keras.Sequential([keras.Input(SIZE), Host(), *mlp().layers])

    trainer = Trainer(jit_compile=True)
    problem = task(model, epochs=1)
    with pytest.warns(UserWarning, match="It cannot be that XLA"):
        found = trainer.evaluate(problem, LOSSES["gce"])
    assert found == problem.evaluate(LOSSES["gce"])
    assert trainer.evaluate(problem, LOSSES["gce"]) == found


def test_errors_of_the_model_are_its_own(trainer):
    def broken():
        raise MemoryError("no room for this model")

    with pytest.raises(MemoryError, match="no room"):
        trainer.evaluate(task(broken), LOSSES["gce"])
    outcomes = trainer.evaluate_all(task(broken), [LOSSES["gce"]] * 2)
    assert [str(error) for error in outcomes] == ["no room for this model"] * 2


@pytest.mark.parametrize("last_epochs", [0, 5])
def test_invalid_arguments(trainer, last_epochs):
    problem = task(mlp)
    with pytest.raises(ValueError, match=rf"1\.\.4.*={last_epochs}"):
        trainer.evaluate(problem, LOSSES["gce"], last_epochs=last_epochs)
    with pytest.raises(ValueError, match=rf"1\.\.4.*={last_epochs}"):
        trainer.evaluate_all(problem, [], last_epochs=last_epochs)
    with pytest.raises(ValueError, match="max_programs=0"):
        Trainer(max_programs=0)


def test_accuracies_of_every_epoch(trainer):
    problem = task(mlp, 0, architecture="mlp")
    loss = LOSSES["order 2"]
    accuracies = trainer.accuracies(problem, loss)
    assert len(accuracies) == problem.epochs == 4
    assert len(set(accuracies)) > 1
    assert trainer.evaluate(problem, loss) == accuracies[-1]
    assert trainer.accuracies(problem, loss, 2) == accuracies[2:]
    assert trainer.evaluate(problem, loss, 2) == pytest.approx(
        np.mean(accuracies[2:])
    )
    plain = PlainTrainer().accuracies(problem, loss)
    assert plain == problem.accuracies(loss)
    assert accuracies == pytest.approx(plain, abs=BOUND + 1e-12)
    with pytest.raises(ValueError, match=r"in 1\.\.4.*last_epochs=5"):
        trainer.accuracies(problem, loss, 5)
