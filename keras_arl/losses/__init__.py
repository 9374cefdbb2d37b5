"""Losses for noisy labels."""

from keras_arl.losses.active_passive import ActivePassive
from keras_arl.losses.asymmetric import AEL
from keras_arl.losses.asymmetric import AGCE
from keras_arl.losses.asymmetric import AMSE
from keras_arl.losses.asymmetric import AUL
from keras_arl.losses.base import ClassificationLoss
from keras_arl.losses.bi_tempered import BiTempered
from keras_arl.losses.bootstrapping import HardBootstrapping
from keras_arl.losses.bootstrapping import SoftBootstrapping
from keras_arl.losses.correction import BackwardCorrection
from keras_arl.losses.correction import ForwardCorrection
from keras_arl.losses.cross_entropy import CrossEntropy
from keras_arl.losses.dal import DAL
from keras_arl.losses.entropy_regularization import EntropyRegularization
from keras_arl.losses.epsilon_softmax import EpsilonSoftmax
from keras_arl.losses.focal import Focal
from keras_arl.losses.gce import GCE
from keras_arl.losses.gce import TruncatedGCE
from keras_arl.losses.jensen_shannon import JS
from keras_arl.losses.l1 import l1_regularization
from keras_arl.losses.ldr_kl import LDRKL
from keras_arl.losses.logit_clipping import LogitClipping
from keras_arl.losses.mae import MAE
from keras_arl.losses.normalized import NCE
from keras_arl.losses.normalized import NFL
from keras_arl.losses.normalized import NNCE
from keras_arl.losses.normalized import NNFL
from keras_arl.losses.phuber import PHuberCE
from keras_arl.losses.phuber import PHuberGCE
from keras_arl.losses.poly_soft import PolySoft
from keras_arl.losses.published import published_settings
from keras_arl.losses.registry import get
from keras_arl.losses.registry import names
from keras_arl.losses.sce import RCE
from keras_arl.losses.sce import SCE
from keras_arl.losses.schedule import LossSchedule
from keras_arl.losses.sparse_regularization import SparseRegularization
from keras_arl.losses.super_loss import SuperLoss
from keras_arl.losses.taylor import ARL
from keras_arl.losses.taylor import BatchTaylorLoss
from keras_arl.losses.taylor import ScheduledTaylorLoss
from keras_arl.losses.taylor import TaylorLoss
from keras_arl.losses.taylor import load
from keras_arl.losses.taylor import save
from keras_arl.losses.taylor_cross_entropy import TaylorCrossEntropy

__all__ = [
    "AEL",
    "AGCE",
    "AMSE",
    "ARL",
    "AUL",
    "DAL",
    "GCE",
    "JS",
    "LDRKL",
    "MAE",
    "NCE",
    "NFL",
    "NNCE",
    "NNFL",
    "RCE",
    "SCE",
    "ActivePassive",
    "BackwardCorrection",
    "BatchTaylorLoss",
    "BiTempered",
    "ClassificationLoss",
    "CrossEntropy",
    "EntropyRegularization",
    "EpsilonSoftmax",
    "Focal",
    "ForwardCorrection",
    "HardBootstrapping",
    "LogitClipping",
    "LossSchedule",
    "PHuberCE",
    "PHuberGCE",
    "PolySoft",
    "ScheduledTaylorLoss",
    "SoftBootstrapping",
    "SparseRegularization",
    "SuperLoss",
    "TaylorCrossEntropy",
    "TaylorLoss",
    "TruncatedGCE",
    "get",
    "l1_regularization",
    "load",
    "names",
    "published_settings",
    "save",
]
