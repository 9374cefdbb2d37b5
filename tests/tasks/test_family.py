import collections
import dataclasses
import json

import numpy as np

from keras_arl.datasets import load_dataset
from keras_arl.tasks import TaskFamily
from keras_arl.tasks import TaskSpace
from keras_arl.tasks import broad_spaces
from keras_arl.tasks import diverse_spaces
from keras_arl.tasks import sample_architectures
from keras_arl.tasks import sample_task


def test_sampling_is_a_function_of_the_seed_and_the_space():
    space = TaskSpace(noises=(("symmetric", 0.25),), epochs=(3,))
    configs = [sample_task(seed, space) for seed in range(20)]
    assert configs == [sample_task(seed, space) for seed in range(20)]
    assert len({c.architecture for c in configs}) > 10
    assert {c.noise_rate for c in configs} == {0.25}
    assert {c.optimizer for c in configs} == {"adam", "sgd"}
    text = json.dumps(dataclasses.asdict(configs[0]))
    assert json.loads(text)["seed"] == 0
    default = [sample_task(seed) for seed in range(40)]
    assert {(c.noise, c.noise_rate) for c in default} == set(TaskSpace().noises)


def test_networks_are_drawn_from_a_pool():
    pool = sample_architectures(3, seed=4)
    space = TaskSpace(architectures=pool)
    drawn = {sample_task(seed, space).architecture for seed in range(50)}
    assert drawn == set(pool)


def test_sampled_tasks_describe_themselves():
    tasks = TaskFamily(TaskSpace(num_train=100))
    assert tasks.get_config()["num_train"] == 100
    x, _ = tasks(seed=5).train
    assert len(x) == 100


def test_tasks_of_several_spaces():
    spaces = (
        TaskSpace(noises=(("symmetric", 0.1),)),
        TaskSpace(
            datasets=("iris",),
            families=("mlp",),
            num_train=60,
            num_evaluation=40,
        ),
    )
    tasks = TaskFamily(spaces)
    configs = [tasks.sample(seed) for seed in range(40)]
    assert configs == [TaskFamily(spaces).sample(seed) for seed in range(40)]
    share = np.mean([config.dataset == "iris" for config in configs])
    assert 0.25 < share < 0.75
    seed = [config.dataset for config in configs].index("iris")
    assert tasks(seed).train[0].shape == (60, 4)
    assert json.loads(json.dumps(tasks.get_config()))[1]["datasets"] == ["iris"]


def test_broad_tasks_hold_what_they_promise():
    tasks = TaskFamily(broad_spaces())
    configs = [tasks.sample(seed) for seed in range(400)]
    kinds = {config.noise for config in configs}
    assert kinds == {
        "symmetric", "pair_flip", "asymmetric", "instance_dependent",
    }  # fmt: skip
    assert max(config.noise_rate for config in configs) == 0.8
    assert {config.num_classes for config in configs} == {None, 3, 5, 20}
    assert {config.imbalance for config in configs} == {1, 10, 50}
    assert {config.momentum for config in configs} == {0, 0.9}
    assert {config.input_noise for config in configs} == {0, 0.5, 1}
    families = {config.architecture.family for config in configs}
    assert families == {"mlp", "cnn", "resnet"}
    # What the loss is measured on later is not among them.
    named = " ".join(sorted({config.dataset for config in configs}))
    assert named == (
        "breast_cancer digits iris mnist mnist+mnist trec:label-coarse "
        "trec:label-fine"
    )


def test_diverse_tasks_hold_what_they_promise():
    tasks = TaskFamily(diverse_spaces())
    configs = [tasks.sample(seed) for seed in range(400)]
    counts = collections.Counter(config.noise for config in configs)
    assert {"class_dependent", "weak_classifier"} <= counts.keys()
    assert counts["pair_flip"] > counts["symmetric"] / 2
    networks = {config.architecture for config in configs}
    # Few, so that few programs are compiled.
    assert len(networks) <= 6
    normalised = [c.architecture.batch_normalization for c in configs]
    assert np.mean(normalised) < 0.2
    # What the loss is measured on later is not among them.
    broad = {name for space in broad_spaces() for name in space.datasets}
    assert {config.dataset for config in configs} <= broad


def test_long_diverse_tasks_add_lengths_and_annotators():
    spaces = diverse_spaces(long=True)
    short = diverse_spaces()
    assert spaces[: len(short)] == short
    added = spaces[len(short) :]
    assert {epochs for s in added for epochs in s.epochs} == {10, 100}
    assert all(("annotators", 0.4) in space.noises for space in added)


def test_deep_diverse_tasks_add_wide_deep_residual_and_normalised_networks():
    spaces = diverse_spaces(long=True, deep=True)
    long = diverse_spaces(long=True)
    assert spaces[: len(long)] == long
    networks = [n for s in spaces[len(long) :] for n in s.architectures]
    dense = [n for n in networks if n.family == "mlp"]
    assert any(n.widths == (256, 256) for n in dense)
    assert any(len(n.widths) == 4 for n in dense)
    assert any(n.batch_normalization for n in dense)
    assert {n.family for n in networks} == {"mlp", "cnn", "resnet"}


def test_each_choice_of_classes_leaves_diverse_tasks_enough_examples():
    spaces = diverse_spaces(long=True, deep=True)
    digits = [s for s in spaces if s.datasets == ("digits",)]
    counts = np.sort(np.bincount(load_dataset("digits").pool_labels))
    for space in digits:
        needed = space.num_train + space.num_evaluation
        for number in space.num_classes:
            assert counts[:number].sum() >= needed
