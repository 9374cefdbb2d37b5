"""What a trainer reports is what a new model reports."""

import dataclasses
import functools
import gc
import pickle
import re
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
from keras_arl.training.plain import PlainProgram
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
    first, second = (
        task(MODELS[model], seed, architecture=model) for seed in (0, 1)
    )
    before = trainer.evaluate(first, GCE, last_epochs=2)
    # On a program that has trained.
    check_agrees(trainer, second, losses.GCE(0.3), last_epochs=2)
    assert trainer.evaluate(first, GCE, last_epochs=2) == before


@compiled
@pytest.mark.parametrize(
    "jit_compile", [False, True] if BACKEND == "tensorflow" else [False]
)
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


def test_a_task_is_not_kept_alive():
    trainer = Trainer()
    problem = task(mlp, epochs=1)
    trainer.evaluate(problem, GCE)
    reference = weakref.ref(problem)
    del problem
    gc.collect()
    assert reference() is None


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
            keras.optimizers.schedules.CosineDecay(0.1, 20),
            clipnorm=1.0,
            use_ema=True,
        ),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.02)),
    ],
    ids=["schedule and ema", "loss scale"],
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


class WithoutBuild(keras.Model):
    """Makes its variables in its first call, as most subclasses do."""

    def __init__(self):
        super().__init__()
        self.noise = NoisyInput()
        self.flatten = keras.layers.Flatten()
        self.inner = keras.Sequential([keras.layers.Dense(8, "relu")])
        self.dropout = keras.layers.Dropout(0.2)
        self.dense = keras.layers.Dense(NUM_CLASSES, "softmax")

    def call(self, x, training=False):
        x = self.inner(self.flatten(self.noise(x)))
        return self.dense(self.dropout(x, training=training))


def built():
    return keras.Sequential([keras.Input(SIZE), NoisyInput(), *mlp().layers])


@pytest.mark.parametrize("model", [built, WithoutBuild])
def test_seeds_advance_as_in_a_new_model(trainer, model):
    problem = task(model, architecture=model.__name__, epochs=3)
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

    # Which nothing is kept for.
    assert trainer._kinds(problem(None), GCE) == [PlainProgram]
    expected = trainer.evaluate(problem(None), GCE)
    for _ in range(2):
        assert trainer.evaluate(problem("piped"), GCE) == expected


def test_functions_and_names_of_losses(trainer):
    problem = task(mlp, architecture="mlp")

    def own(y_true, y_pred):
        labels = keras.ops.cast(y_true, "int32")
        labelled = y_pred * keras.ops.one_hot(labels, NUM_CLASSES)
        return 1.0 - keras.ops.sum(labelled, axis=-1)

    name = "sparse_categorical_crossentropy"
    check_agrees(trainer, problem, own)
    found = trainer.evaluate(problem, name)
    # A list is no key of a program: a new model is trained.
    assert [*trainer.evaluate_all(problem, [[name]])] == [found]


def test_all_losses_of_a_list(trainer):
    problem = task(mlp, architecture="mlp")
    one, other = (trainer.evaluate(problem, loss) for loss in (TAYLOR, GCE))
    first, second, third, fourth = trainer.evaluate_all(
        problem, [TAYLOR, INFINITE, TAYLOR, GCE]
    )
    # What diverged left nothing behind in the program of its class.
    assert [first, third, fourth] == [one, one, other]
    failed, plain = PLAIN.evaluate_all(problem, [INFINITE, TAYLOR])
    assert plain == pytest.approx(one, abs=BOUND + 1e-12)
    for error in (second, failed):
        assert isinstance(error, TrainingDivergedError)
        assert re.match(
            "diverged: loss became .* within 1 of 4 epochs", str(error)
        )
    for each in (trainer, PLAIN):
        assert list(each.evaluate_all(problem, [])) == []


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


def of_this_package(activation):
    network = ArchitectureConfig("mlp", (8,), activation, False, 0.0)
    return functools.partial(build_model, network, SIZE, NUM_CLASSES, 0)


@compiled
def test_models_that_differ_are_refused_under_one_name():
    trainer = Trainer()

    def check(name, model=scaled, **arguments):
        model = functools.partial(model, **arguments)
        problem = task(model, architecture=name, epochs=1)
        # What it does first, whether it then trains or not.
        trainer._store.prepare(program_key(problem, GCE), problem)

    check("net", mean=0.0)
    # Layers' names and seeds, and values of variables, are its own.
    check("net", mean=0.0)
    check("adapted", mean=0.0, adapted=True)
    check("own", of_this_package("relu"))
    for name, arguments, message in (
        ("net", {"mean": 1.0}, r"mean: 1\.0"),
        ("net", {"mean": 0.0, "activation": "tanh"}, "activation: tanh"),
        ("net", {"mean": 0.0, "rate": 0.5}, r"rate: 0\.5"),
        ("net", {"mean": 0.0, "factor": 2.0}, "other outputs"),
        ("adapted", {"mean": 1.0, "adapted": True}, "other outputs"),
        ("own", {"model": of_this_package("tanh")}, "activation: tanh"),
    ):
        with pytest.raises(ValueError, match=f"one `architecture`.*{message}"):
            check(name, **arguments)
    message = r"one `architecture` must have the same model.*\(64, 16\)"
    with pytest.raises(ValueError, match=message):
        trainer.evaluate(task(mlp, architecture="net"), GCE)


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
    trainer.evaluate(task(mlp, architecture="mlp"), GCE)
    again = pickle.loads(pickle.dumps(trainer))
    assert not again._store._programs
    assert again.get_config() == trainer.get_config()
    other = Trainer(
        jit_compile=True,
        vectorize=False,
        max_programs=3,
        matmul_precision="bfloat16",
        compile_timeout=7.0,
    )
    again = pickle.loads(pickle.dumps(other))
    assert (again.jit_compile, again.vectorize) == (True, False)
    assert again.max_programs == 3
    assert again._compile_timeout == 7.0
    assert again._matmul_precision == "bfloat16"
    assert pickle.loads(pickle.dumps(PLAIN)).get_config() == PLAIN.get_config()
