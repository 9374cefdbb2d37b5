"""Label noise: transition matrices and the corruption of labels."""

from keras_arl.noise.corruption import corrupt_labels
from keras_arl.noise.corruption import with_noisy_labels
from keras_arl.noise.transition import CIFAR10_MAPPING
from keras_arl.noise.transition import FASHION_MNIST_MAPPING
from keras_arl.noise.transition import MNIST_MAPPING
from keras_arl.noise.transition import asymmetric
from keras_arl.noise.transition import check_transition
from keras_arl.noise.transition import pair_flip
from keras_arl.noise.transition import symmetric

__all__ = [
    "CIFAR10_MAPPING",
    "FASHION_MNIST_MAPPING",
    "MNIST_MAPPING",
    "asymmetric",
    "check_transition",
    "corrupt_labels",
    "pair_flip",
    "symmetric",
    "with_noisy_labels",
]
