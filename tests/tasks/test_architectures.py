import collections
import dataclasses
import itertools
import json

import keras
import numpy as np
import pytest

from keras_arl.tasks import ArchitectureConfig
from keras_arl.tasks import build_model
from keras_arl.tasks import sample_architecture
from keras_arl.tasks import sample_architectures


def test_sampling_is_a_function_of_the_seed_and_covers_the_families():
    configs = [sample_architecture(seed) for seed in range(60)]
    assert configs == [sample_architecture(seed) for seed in range(60)]
    assert {c.family for c in configs} == {"mlp", "cnn"}
    assert {len(c.widths) for c in configs if c.family == "mlp"} == {1, 2, 3, 4}
    assert {len(c.widths) for c in configs if c.family == "cnn"} == {1, 2, 3}
    assert {c.batch_normalization for c in configs} == {True, False}
    assert len({c.activation for c in configs}) > 2
    assert {c.dropout == 0 for c in configs} == {True, False}
    only = {sample_architecture(s, families=("cnn",)).family for s in range(9)}
    assert only == {"cnn"}
    residual = [sample_architecture(s, families=("resnet",)) for s in range(30)]
    assert {c.family for c in residual} == {"resnet"}
    assert {len(c.widths) for c in residual} == {1, 2, 3}


def test_a_configuration_is_plain_values():
    config = sample_architecture(3)
    assert json.loads(json.dumps(dataclasses.asdict(config)))


@pytest.mark.parametrize("families", [(), ("rnn",)])
def test_unknown_families(families):
    with pytest.raises(ValueError, match="must be drawn from"):
        sample_architecture(0, families)


def test_a_pool_of_architectures():
    pool = sample_architectures(3, seed=4)
    assert pool == sample_architectures(5, seed=4)[:3]
    assert len(set(sample_architectures(100, seed=4))) == 100
    assert pool != sample_architectures(3, seed=5)
    mlps = sample_architectures(4, seed=0, families=("mlp",))
    assert {architecture.family for architecture in mlps} == {"mlp"}


@pytest.mark.parametrize("count", [0, 501])
def test_a_pool_of_the_wrong_size(count):
    with pytest.raises(ValueError, match=rf"1\.\.500.*count={count}"):
        sample_architectures(count, seed=0)


@pytest.mark.parametrize(
    ("seed", "shape"),
    list(enumerate([(8, 8, 1), (28, 28, 1), (32, 32, 3)] * 2)),
)
def test_models_map_images_to_probabilities(rng, shape, seed):
    config = sample_architecture(seed)
    model = build_model(config, shape, num_classes=7, seed=seed)
    outputs = keras.ops.convert_to_numpy(
        model(rng.normal(size=(3, *shape)).astype("float32"))
    )
    assert outputs.shape == (3, 7)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)
    count = collections.Counter(type(layer).__name__ for layer in model.layers)
    depth = len(config.widths)
    is_cnn = config.family == "cnn"
    assert count["Conv2D"] == depth * is_cnn
    assert count["Dense"] == 1 + depth * (not is_cnn)
    assert count["BatchNormalization"] == depth * config.batch_normalization
    assert count["Dropout"] == (config.dropout > 0)
    # Halved while it is at least 4 pixels wide.
    halved = shape[0].bit_length() - 2
    assert count["MaxPooling2D"] == min(depth, halved) * is_cnn


@pytest.mark.parametrize(
    ("shape", "normalized"),
    [((8, 8, 1), False), ((28, 28, 1), True), ((9, 32, 3), True)],
)
def test_residual_networks(rng, shape, normalized):
    config = ArchitectureConfig("resnet", (4, 4, 6), "relu", normalized, 0.2)
    model = build_model(config, shape, num_classes=7, seed=0)
    sums = [x for x in model.layers if isinstance(x, keras.layers.Add)]
    assert len(sums) == 3
    sizes = [tuple(x.output.shape[1:3]) for x in sums]
    first = tuple(-(-s // 2) if min(shape[:2]) > 16 else s for s in shape[:2])
    assert sizes[0] == tuple(-(-s // 2) for s in first)
    assert all(
        a == b or b == tuple(-(-s // 2) for s in a)
        for a, b in itertools.pairwise(sizes)
    )
    normalizations = [
        x
        for x in model.layers
        if isinstance(x, keras.layers.BatchNormalization)
    ]
    assert len(normalizations) == (7 if normalized else 0)
    images = rng.normal(size=(3, *shape)).astype("float32")
    outputs = keras.ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)


def test_a_residual_block_without_convolutions_is_the_identity(rng):
    config = ArchitectureConfig("resnet", (4, 4), "relu", False, 0.0)
    model = build_model(config, (3, 3, 1), num_classes=2, seed=0)
    stem, *_, dense = [w for w in model.layers if w.weights]
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer is not stem:
            layer.kernel.assign(0 * layer.kernel)
    images = rng.normal(size=(5, 3, 3, 1)).astype("float32")
    pooled = keras.ops.mean(keras.ops.relu(stem(images)), axis=(1, 2))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(model(images)),
        keras.ops.convert_to_numpy(dense(pooled)),
        atol=1e-6,
    )


def test_networks_that_cannot_be_built():
    unknown = ArchitectureConfig("rnn", (4,), "relu", False, 0.0)
    with pytest.raises(ValueError, match=r"one of \('mlp'.*family='rnn'"):
        build_model(unknown, (8, 8, 1), 2, seed=0)
    empty = ArchitectureConfig("resnet", (), "relu", False, 0.0)
    with pytest.raises(ValueError, match=r"at least one .*widths=\(\)"):
        build_model(empty, (8, 8, 1), 2, seed=0)


def test_weights_are_a_function_of_the_seed_alone():
    config = sample_architecture(1)

    def weights(seed):
        keras.utils.set_random_seed(np.random.SeedSequence().entropy % 1000)
        return build_model(config, (8, 8, 1), 10, seed).get_weights()

    for a, b in zip(weights(5), weights(5), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(weights(5)[0], weights(6)[0])


def test_convolutions_need_images():
    cnn = sample_architecture(0, families=("cnn",))
    with pytest.raises(ValueError, match=r"need images.*input_shape=\(30,\)"):
        build_model(cnn, (30,), 2, seed=0)
    resnet = sample_architecture(0, families=("resnet",))
    with pytest.raises(ValueError, match="need images"):
        build_model(resnet, (30,), 2, seed=0)
    mlp = sample_architecture(0, families=("mlp",))
    assert build_model(mlp, (30,), 2, seed=0).output_shape == (None, 2)
