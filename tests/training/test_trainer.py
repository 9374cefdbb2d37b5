"""What a trainer reports is what a new model reports."""

import dataclasses
import functools
import gc
import pickle
import weakref

import keras
import numpy as np
import pytest

from keras_arl import losses
from keras_arl.losses import TaylorLoss
from keras_arl.tasks import ArchitectureConfig
from keras_arl.tasks import Task
from keras_arl.tasks import build_model
from keras_arl.training import PlainTrainer
from keras_arl.training import Trainer
from keras_arl.training import TrainingDivergedError
from keras_arl.training.keys import program_key
from tests.training.models import BOUND
from tests.training.models import NUM_CLASSES
from tests.training.models import SIZE
from tests.training.models import Counting
from tests.training.models import check_agrees
from tests.training.models import cnn
from tests.training.models import counting_model
from tests.training.models import images
from tests.training.models import mlp
from tests.training.models import task

BACKEND = keras.config.backend()
PLAIN = PlainTrainer()
TAYLOR = TaylorLoss([0, -1, 0, 0.5, 0, 0, 0, 0, 0, 0], order=4)
GCE = losses.GCE()
# Larger than float32 at the first step.
INFINITE = TaylorLoss([0, -1e38, 0, 0, 0, 0, 3e38, 0, 0, 0], order=4)
MODELS = {
    "mlp with dropout": functools.partial(mlp, dropout=0.3, normalized=True),
    "cnn": cnn,
}

compiled = pytest.mark.skipif(
    BACKEND == "torch", reason="nothing is compiled on PyTorch"
)


@pytest.fixture(scope="module")
def trainer():
    return Trainer()


@pytest.mark.parametrize("model", MODELS)
def test_it_reports_what_a_new_model_reports(trainer, model):
    for seed, loss in ((0, GCE), (1, losses.GCE(0.3))):
        problem = task(MODELS[model], seed, architecture=model)
        found = check_agrees(trainer, problem, loss, last_epochs=2)
        # Again, on a program that has trained.
        assert trainer.evaluate(problem, loss, last_epochs=2) == found


@compiled
@pytest.mark.parametrize("jit_compile", [False, True])
def test_seeds_and_rates_are_no_reason_to_trace(jit_compile):
    trainer = Trainer(jit_compile=jit_compile)

    def run(seed, rate):
        problem = task(
            counting_model,
            seed,
            optimizer=keras.optimizers.Adam(rate),
            architecture="counting",
        )
        # Building the model for its initial weights calls the layer too.
        trainer._store.prepare(program_key(problem, GCE), problem)
        Counting.calls = 0
        trainer.evaluate(problem, GCE)
        return Counting.calls

    assert run(0, 0.01) > 0
    assert [run(seed, 0.01 * seed) for seed in (1, 2, 3)] == [0, 0, 0]


@compiled
def test_tasks_without_a_name_share_nothing_with_others():
    trainer = Trainer()
    first, second = task(mlp), task(functools.partial(mlp, normalized=True))
    before = trainer.evaluate(first, GCE)
    check_agrees(trainer, second, GCE)
    assert trainer.evaluate(first, GCE) == before


def test_a_task_is_not_kept_alive():
    trainer = Trainer()
    problem = task(mlp)
    trainer.evaluate(problem, GCE)
    reference = weakref.ref(problem)
    del problem
    gc.collect()
    assert reference() is None


def test_divergence_is_told_and_forgotten(trainer):
    problem = task(mlp, architecture="mlp")
    before = trainer.evaluate(problem, TAYLOR)
    message = "diverged: loss became .* within 1 of 4 epochs"
    for each in (PLAIN, trainer):
        with pytest.raises(TrainingDivergedError, match=message):
            each.evaluate(problem, INFINITE)
    assert trainer.evaluate(problem, TAYLOR) == before


def test_regularisation_counts(trainer):
    def regularised():
        layer = keras.layers.Dense(
            NUM_CLASSES,
            activation="softmax",
            kernel_regularizer=keras.regularizers.L2(1.0),
        )
        layers = mlp().layers[:-1]
        return keras.Sequential([keras.Input(SIZE), *layers, layer])

    strong = task(regularised, architecture="regularised", epochs=8)
    weak = task(mlp, architecture="mlp", epochs=8)
    found = check_agrees(trainer, strong, TAYLOR)
    assert found != trainer.evaluate(weak, TAYLOR)


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(0.1, 20), clipnorm=1.0
        ),
        keras.optimizers.Adam(0.02, use_ema=True),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.02)),
    ],
    ids=["schedule", "ema", "loss scale"],
)
def test_optimizers(trainer, optimizer):
    problem = task(mlp, optimizer=optimizer, architecture="mlp")
    found = check_agrees(trainer, problem, TAYLOR)
    assert trainer.evaluate(problem, TAYLOR) == found


def test_one_hot_and_integer_labels_of_one_architecture(trainer):
    integer = task(mlp, architecture="mlp")
    one_hot = dataclasses.replace(
        integer,
        **{
            name: (x, np.eye(3, dtype="float32")[y])
            for name, (x, y) in (
                ("train", integer.train),
                ("validation", integer.validation),
            )
        },
    )
    before = trainer.evaluate(integer, GCE)
    check_agrees(trainer, one_hot, GCE)
    assert trainer.evaluate(integer, GCE) == before


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
    found = check_agrees(trainer, problem, GCE, last_epochs=2)
    assert trainer.evaluate(problem, GCE, last_epochs=2) == found


class WithoutBuild(keras.Model):
    """Makes its variables in its first call, as most subclasses do."""

    def __init__(self):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.inner = keras.Sequential([keras.layers.Dense(8, "relu")])
        self.dropout = keras.layers.Dropout(0.2)
        self.dense = keras.layers.Dense(NUM_CLASSES, "softmax")

    def call(self, x, training=False):
        x = self.inner(self.flatten(x))
        return self.dense(self.dropout(x, training=training))


def test_a_subclass_that_does_not_define_build(trainer):
    problem = task(WithoutBuild, architecture="subclass")
    found = check_agrees(trainer, problem, GCE, last_epochs=2)
    assert trainer.evaluate(problem, GCE, last_epochs=2) == found


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
    assert check_agrees(trainer, problem, TAYLOR) > 0.8


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

    expected = PLAIN.evaluate(problem(None), GCE)
    for architecture in (None, "piped", "piped"):
        assert trainer.evaluate(problem(architecture), GCE) == expected


def test_functions_and_names_of_losses(trainer):
    problem = task(mlp, architecture="mlp")

    def own(y_true, y_pred):
        labels = keras.ops.cast(y_true, "int32")
        labelled = y_pred * keras.ops.one_hot(labels, NUM_CLASSES)
        return 1.0 - keras.ops.sum(labelled, axis=-1)

    name = "sparse_categorical_crossentropy"
    check_agrees(trainer, problem, own)
    found = check_agrees(trainer, problem, name)
    # A list is no key of a program.
    assert [*trainer.evaluate_all(problem, [[name]] * 2)] == [found] * 2


def test_all_losses_of_a_list(trainer):
    problem = task(mlp, architecture="mlp")
    expected = [trainer.evaluate(problem, loss) for loss in (TAYLOR, GCE)]
    for some in (trainer, PLAIN):
        first, second, third = some.evaluate_all(
            problem, [TAYLOR, INFINITE, GCE]
        )
        bound = 0 if some is trainer else BOUND + 1e-12
        assert [first, third] == pytest.approx(expected, abs=bound)
        assert isinstance(second, TrainingDivergedError)
        assert list(some.evaluate_all(problem, [])) == []


def scaled(mean, activation="relu", rate=0.1, adapted=False, factor=1.0):
    def times(x):
        return factor * x

    constants = {} if adapted else {"mean": mean, "variance": 1.0}
    normalization = keras.layers.Normalization(axis=None, **constants)
    if adapted:
        normalization.adapt(np.array([mean - 1.0, mean + 1.0]))
    layers = [normalization, keras.layers.Flatten()]
    layers += [keras.layers.Dense(8, activation), keras.layers.Dropout(rate)]
    layers += [keras.layers.Dense(8, times), keras.layers.Dense(NUM_CLASSES)]
    return keras.Sequential([keras.Input(SIZE), *layers])


@compiled
def test_models_that_differ_are_refused_under_one_name():
    trainer = Trainer()

    def check(name, **arguments):
        model = functools.partial(scaled, **arguments)
        trainer.evaluate(task(model, architecture=name, epochs=1), GCE)

    check("net", mean=0.0)
    # Layers' names and seeds, and values of variables, are its own.
    check("net", mean=0.0)
    check("adapted", mean=0.0, adapted=True)
    for name, arguments, message in (
        ("net", {"mean": 1.0}, r"mean: 1\.0"),
        ("net", {"mean": 0.0, "activation": "tanh"}, "activation: tanh"),
        ("net", {"mean": 0.0, "rate": 0.5}, r"rate: 0\.5"),
        ("net", {"mean": 0.0, "factor": 2.0}, "other outputs"),
        ("adapted", {"mean": 1.0, "adapted": True}, "other outputs"),
    ):
        with pytest.raises(ValueError, match=f"one `architecture`.*{message}"):
            check(name, **arguments)
    message = r"one `architecture` must have the same model.*\(64, 16\)"
    with pytest.raises(ValueError, match=message):
        trainer.evaluate(task(mlp, architecture="net"), GCE)


@compiled
def test_networks_of_this_package_are_refused_under_one_name():
    trainer = Trainer()

    def evaluate(activation):
        network = ArchitectureConfig("mlp", (8,), activation, False, 0.0)
        model = functools.partial(build_model, network, SIZE, NUM_CLASSES, 0)
        return trainer.evaluate(task(model, architecture="one", epochs=1), GCE)

    evaluate("relu")
    with pytest.raises(ValueError, match="activation: tanh"):
        evaluate("tanh")


def test_errors_of_the_model_are_its_own(trainer):
    def broken():
        raise MemoryError("no room for this model")

    with pytest.raises(MemoryError, match="no room"):
        trainer.evaluate(task(broken), GCE)
    outcomes = trainer.evaluate_all(task(broken), [GCE] * 2)
    assert [str(error) for error in outcomes] == ["no room for this model"] * 2


@pytest.mark.parametrize("last_epochs", [0, 5])
def test_invalid_arguments(trainer, last_epochs):
    problem = task(mlp)
    message = rf"1\.\.4.*={last_epochs}"
    for each in (trainer, PLAIN):
        with pytest.raises(ValueError, match=message):
            each.evaluate(problem, GCE, last_epochs)
        with pytest.raises(ValueError, match=message):
            each.accuracies(problem, GCE, last_epochs)
    with pytest.raises(ValueError, match=message):
        trainer.evaluate_all(problem, [], last_epochs)
    with pytest.raises(ValueError, match="max_programs=0"):
        Trainer(max_programs=0)


def test_accuracies_of_every_epoch(trainer):
    problem = task(mlp, architecture="mlp")
    accuracies = trainer.accuracies(problem, GCE)
    assert len(accuracies) == problem.epochs == 4
    assert len(set(accuracies)) > 1
    assert trainer.evaluate(problem, GCE) == accuracies[-1]
    assert trainer.accuracies(problem, GCE, 2) == accuracies[2:]
    average = np.mean(accuracies[2:])
    assert trainer.evaluate(problem, GCE, 2) == pytest.approx(average)
    expected = PLAIN.accuracies(problem, GCE)
    assert accuracies == pytest.approx(expected, abs=BOUND + 1e-12)


def test_a_trainer_is_pickled_as_its_arguments(trainer):
    problem = task(mlp, architecture="mlp")
    found = trainer.evaluate(problem, GCE)
    again = pickle.loads(pickle.dumps(trainer))
    assert not again._store._programs
    assert again.evaluate(problem, GCE) == found
    other = Trainer(jit_compile=True, vectorize=False, max_programs=3)
    again = pickle.loads(pickle.dumps(other))
    assert (again.jit_compile, again.vectorize) == (True, False)
    assert again.max_programs == 3
    assert pickle.loads(pickle.dumps(PLAIN)).get_config() == PLAIN.get_config()
