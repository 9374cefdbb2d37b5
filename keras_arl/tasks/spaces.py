"""The collections of tasks for searches; ARL was searched on the broad one."""

import dataclasses

from keras_arl.tasks.architectures import ArchitectureConfig
from keras_arl.tasks.architectures import sample_architectures
from keras_arl.tasks.config import TaskSpace

# Clean labels twice: there a loss should cost next to nothing.
_SYMMETRIC = tuple(
    ("symmetric", rate) for rate in (0.0, 0.0, 0.2, 0.4, 0.6, 0.8)
)
_STRUCTURED = (
    ("pair_flip", 0.2),
    ("pair_flip", 0.45),
    ("instance_dependent", 0.2),
    ("instance_dependent", 0.4),
)
_MAPPED = (("asymmetric", 0.2), ("asymmetric", 0.4))
_MILD = (
    ("symmetric", 0.0),
    ("symmetric", 0.2),
    ("symmetric", 0.4),
    ("pair_flip", 0.2),
    ("instance_dependent", 0.2),
)
_OPTIMIZERS = (
    ("adam", 0.001),
    ("adam", 0.003),
    ("sgd", 0.01, 0.9),
    ("sgd", 0.05, 0.9),
)
# Few networks, so that their compiled programs serve many tasks.
_MLPS = sample_architectures(8, seed=0, families=("mlp",))
_CNNS = sample_architectures(4, seed=0, families=("cnn",))
_RESNETS = sample_architectures(4, seed=0, families=("resnet",))
_DIVERSE = (
    ("pair_flip", 0.3),
    ("pair_flip", 0.4),
    ("pair_flip", 0.45),
    ("class_dependent", 0.2),
    ("class_dependent", 0.4),
    ("instance_dependent", 0.4),
    ("weak_classifier", 0.3),
)
_DIVERSE_MILD = (
    *_MILD,
    ("pair_flip", 0.4),
    ("class_dependent", 0.3),
    ("weak_classifier", 0.3),
)
_ANNOTATORS = (("annotators", 0.2), ("annotators", 0.4))
_TWO_OPTIMIZERS = (("adam", 0.001), ("adam", 0.003), ("sgd", 0.02, 0.9))
_PLAIN_MLPS = tuple(
    ArchitectureConfig("mlp", widths, "relu", False, dropout)
    for widths, dropout in (((128,), 0.0), ((128, 64), 0.2))
)
_PLAIN_CNNS = tuple(
    ArchitectureConfig("cnn", widths, "relu", False, 0.0)
    for widths in ((16,), (16, 32))
)
_WIDE_MLPS = tuple(
    ArchitectureConfig("mlp", widths, "relu", False, 0.0)
    for widths in ((256, 256), (256, 128, 128, 64))
)


def broad_spaces():
    """Images, text and tables, 2 to 100 classes, and many kinds of noise.

    The sets are small. Up to 80% of the labels are wrong at random, or up to
    45% are mistaken for a similar class. Classes are balanced or not, up to a
    hundred; inputs are images, images under heavy pixel noise, sparse text or
    tables; networks are dense, convolutional or residual. Trainings are long
    enough for a network to memorise wrong labels. MNIST and TREC come from
    TFDS, everything else ships with scikit-learn.

    Returns:
        A tuple of `TaskSpace`, for `TaskFamily`.

    Example:

    >>> tasks = keras_arl.tasks.TaskFamily(keras_arl.tasks.broad_spaces())
    >>> tasks.sample(seed=4).dataset
    'mnist'
    """
    # Plain convolutions are here alone: on MNIST's images a training took a CPU
    # 8 s, where those of most other tasks take 0.3 s.
    digits = TaskSpace(
        datasets=("digits",),
        noises=_SYMMETRIC + _STRUCTURED + _MAPPED,
        architectures=_MLPS + _CNNS,
        optimizers=_OPTIMIZERS,
        epochs=(30, 60),
        num_train=800,
    )
    few_digits = dataclasses.replace(
        digits, num_train=250, num_evaluation=150, num_classes=(3, 5)
    )
    unbalanced_digits = dataclasses.replace(
        digits, noises=_MILD, imbalances=(10.0, 50.0)
    )
    # One number of epochs: these programs take longest to compile.
    residual_digits = dataclasses.replace(
        digits, architectures=_RESNETS, epochs=(40,)
    )
    mnist = TaskSpace(
        datasets=("mnist",),
        noises=_SYMMETRIC + _STRUCTURED + _MAPPED,
        architectures=_MLPS,
        optimizers=_OPTIMIZERS,
        epochs=(20, 40),
        num_train=2000,
        num_evaluation=1000,
    )
    hard_mnist = dataclasses.replace(mnist, input_noises=(0.5, 1.0))
    unbalanced_mnist = dataclasses.replace(
        mnist, noises=_MILD, imbalances=(10.0, 50.0)
    )
    # Few examples and epochs: a training takes a CPU 2 to 3 s.
    residual_mnist = dataclasses.replace(
        mnist,
        architectures=_RESNETS,
        epochs=(15,),
        num_train=1000,
        num_evaluation=500,
        input_noises=(0.0, 0.5),
    )
    hundred_classes = dataclasses.replace(
        mnist,
        datasets=("mnist+mnist",),
        noises=_MILD,
        epochs=(20,),
        num_train=3000,
        num_classes=(None, 20),
    )
    questions = TaskSpace(
        datasets=("trec:label-coarse", "trec:label-fine"),
        noises=_SYMMETRIC[:-1] + _STRUCTURED,
        architectures=_MLPS,
        optimizers=_OPTIMIZERS,
        epochs=(10, 30),
        num_train=2000,
        num_evaluation=1000,
    )
    few_questions = dataclasses.replace(
        questions,
        noises=_MILD,
        num_train=500,
        epochs=(30,),
        imbalances=(1.0, 10.0),
    )
    tables = TaskSpace(
        datasets=("breast_cancer",),
        noises=_MILD,
        architectures=_MLPS,
        optimizers=_OPTIMIZERS,
        epochs=(30, 60),
        num_train=250,
        num_evaluation=200,
        batch_size=32,
    )
    small_tables = dataclasses.replace(
        tables, datasets=("iris",), num_train=60, num_evaluation=60
    )
    return (
        digits,
        few_digits,
        unbalanced_digits,
        residual_digits,
        residual_digits,
        mnist,
        hard_mnist,
        unbalanced_mnist,
        residual_mnist,
        residual_mnist,
        hundred_classes,
        hundred_classes,
        questions,
        questions,
        few_questions,
        tables,
        small_tables,
    )


def diverse_spaces(long=False, deep=False):
    """Images, text and tables, on which a loss that fits one kind fails.

    Most networks have no batch normalisation, which nearly all of
    `broad_spaces` have, and some are plain convolutions. Noise is more often a
    pair flip, differs by class, or is a weak classifier's mistakes. Text is
    unbalanced, and tables are small. Trainings have 20 or 40 epochs and batches
    of 32 to 128. Networks are few, so that few programs are compiled.

    Args:
        long: Whether there are also trainings of 100 epochs, trainings of 10
            epochs on more examples in batches of 256, and annotators of
            different skill. `ARLMemory` and `ARL(version=2)` were searched
            without. Defaults to `False`.
        deep: Whether there are also dense networks of 256 units and of four
            layers, residual networks (15 epochs on MNIST), convolutions on
            MNIST, and more networks with batch normalisation. Defaults to
            `False`.

    Returns:
        A tuple of `TaskSpace`, for `TaskFamily`.

    Example:

    >>> tasks = keras_arl.tasks.TaskFamily(keras_arl.tasks.diverse_spaces())
    >>> tasks.sample(seed=0).dataset
    'digits'
    """
    digits = TaskSpace(
        datasets=("digits",),
        noises=_DIVERSE + _SYMMETRIC,
        architectures=_PLAIN_MLPS,
        optimizers=_TWO_OPTIMIZERS,
        epochs=(40,),
        # A multiple of the batch size, here and below: a smaller last batch
        # would double what a program takes to be compiled.
        num_train=768,
    )
    plain_convolutions = dataclasses.replace(digits, architectures=_PLAIN_CNNS)
    few_digits = dataclasses.replace(
        digits,
        num_train=256,
        num_evaluation=128,
        num_classes=(3, 5),
        batch_size=32,
    )
    unbalanced_digits = dataclasses.replace(
        digits, noises=_DIVERSE_MILD, imbalances=(10.0, 50.0)
    )
    mnist = dataclasses.replace(
        digits,
        datasets=("mnist",),
        num_train=1920,
        num_evaluation=1024,
        epochs=(20,),
        # A quarter of the inputs, and of the time.
        pooling=2,
    )
    hard_mnist = dataclasses.replace(
        mnist, input_noises=(0.5, 1.0), batch_size=128
    )
    normalised_mnist = dataclasses.replace(mnist, architectures=_MLPS[3:4])
    hundred_classes = dataclasses.replace(
        mnist,
        datasets=("mnist+mnist",),
        noises=_DIVERSE_MILD,
        num_train=3008,
        num_classes=(None, 20),
    )
    questions = dataclasses.replace(
        mnist,
        datasets=("trec:label-coarse", "trec:label-fine"),
        noises=_DIVERSE_MILD,
        pooling=1,
    )
    few_questions = dataclasses.replace(
        questions,
        noises=(
            ("symmetric", 0.0),
            ("symmetric", 0.3),
            ("weak_classifier", 0.2),
            ("weak_classifier", 0.4),
        ),
        num_train=512,
        epochs=(40,),
        batch_size=32,
        imbalances=(5.0, 20.0),
    )
    tables = dataclasses.replace(
        digits,
        datasets=("breast_cancer",),
        noises=_DIVERSE_MILD,
        num_train=256,
        num_evaluation=192,
        batch_size=32,
    )
    small_tables = dataclasses.replace(
        tables, datasets=("iris",), num_train=64, num_evaluation=56
    )
    spaces = (
        digits,
        plain_convolutions,
        plain_convolutions,
        few_digits,
        unbalanced_digits,
        mnist,
        mnist,
        hard_mnist,
        normalised_mnist,
        hundred_classes,
        questions,
        few_questions,
        few_questions,
        tables,
        small_tables,
    )
    if long:
        hundred_epochs = [
            dataclasses.replace(
                space, epochs=(100,), noises=space.noises + _ANNOTATORS
            )
            for space in (
                digits,
                plain_convolutions,
                few_digits,
                few_questions,
                tables,
            )
        ]
        ten_epochs = dataclasses.replace(
            mnist,
            epochs=(10,),
            num_train=5120,
            batch_size=256,
            noises=mnist.noises + _ANNOTATORS,
        )
        spaces += (*hundred_epochs, ten_epochs)
    if deep:
        wide_digits = dataclasses.replace(
            digits,
            architectures=_WIDE_MLPS,
            num_train=1024,
            num_evaluation=256,
            epochs=(100,) if long else (40,),
            batch_size=128,
        )
        residual_mnist = dataclasses.replace(
            mnist,
            architectures=_RESNETS[2:],
            num_train=960,
            epochs=(15,),
            input_noises=(0.0, 0.5),
        )
        spaces += (
            wide_digits,
            wide_digits,
            dataclasses.replace(mnist, architectures=_WIDE_MLPS),
            dataclasses.replace(questions, architectures=_WIDE_MLPS),
            dataclasses.replace(
                mnist, architectures=_PLAIN_CNNS[1:], num_train=960
            ),
            dataclasses.replace(digits, architectures=_RESNETS[2:]),
            residual_mnist,
            dataclasses.replace(digits, architectures=_MLPS[1:2]),
            dataclasses.replace(hard_mnist, architectures=_MLPS[4:5]),
            dataclasses.replace(hundred_classes, architectures=_MLPS[3:4]),
        )
    return spaces
