"""Methods for noisy labels that are more than a loss: they wrap a model."""

from keras_arl.learners.adaptive_loss import AdaptiveLoss
from keras_arl.learners.arl_memory import ARLMemory
from keras_arl.learners.base import Learner
from keras_arl.learners.confidence_branch import ConfidenceBranch
from keras_arl.learners.elr import ELR
from keras_arl.learners.files import load
from keras_arl.learners.files import save
from keras_arl.learners.l2b import L2B
from keras_arl.learners.marvel import Marvel
from keras_arl.learners.meta_weight_net import MetaWeightNet
from keras_arl.learners.pictures import plot_memory
from keras_arl.learners.pipelines import with_index
from keras_arl.learners.selc import SELC
from keras_arl.learners.taylor_memory import TaylorMemory

__all__ = [
    "ELR",
    "L2B",
    "SELC",
    "ARLMemory",
    "AdaptiveLoss",
    "ConfidenceBranch",
    "Learner",
    "Marvel",
    "MetaWeightNet",
    "TaylorMemory",
    "load",
    "plot_memory",
    "save",
    "with_index",
]
