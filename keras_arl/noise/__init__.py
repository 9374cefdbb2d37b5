"""Label noise: transition matrices and the corruption of labels."""

from keras_arl.noise.annotators import annotator_labels
from keras_arl.noise.corruption import corrupt_labels
from keras_arl.noise.corruption import with_noisy_labels
from keras_arl.noise.estimation import estimate_transition
from keras_arl.noise.instance_dependent import instance_dependent_labels
from keras_arl.noise.instance_dependent import with_instance_dependent_labels
from keras_arl.noise.measurement import NoiseReport
from keras_arl.noise.measurement import measure_noise
from keras_arl.noise.transition import CIFAR10_MAPPING
from keras_arl.noise.transition import FASHION_MNIST_MAPPING
from keras_arl.noise.transition import MNIST_MAPPING
from keras_arl.noise.transition import asymmetric
from keras_arl.noise.transition import check_transition
from keras_arl.noise.transition import class_dependent
from keras_arl.noise.transition import pair_flip
from keras_arl.noise.transition import symmetric
from keras_arl.noise.weak_classifier import weak_classifier_labels

__all__ = [
    "CIFAR10_MAPPING",
    "FASHION_MNIST_MAPPING",
    "MNIST_MAPPING",
    "NoiseReport",
    "annotator_labels",
    "asymmetric",
    "check_transition",
    "class_dependent",
    "corrupt_labels",
    "estimate_transition",
    "instance_dependent_labels",
    "measure_noise",
    "pair_flip",
    "symmetric",
    "weak_classifier_labels",
    "with_instance_dependent_labels",
    "with_noisy_labels",
]
