"""Values and gradients of the authors' programs, in float64.

golden.json.gz was written by running the programs of the papers; `source` says
which. Two sets: 10 classes, with a hopeless label (row 2) and a saturated
prediction (row 3), and 100 classes with a hopeless label (row 3). `gradient` is
that of the mean over the rows by the logits.
"""

import functools
import gzip
import json
import pathlib

import keras
import numpy as np
import pytest
from keras import ops

from keras_arl import losses
from keras_arl.backend import value_and_gradient
from tests.losses.papers import OF_LOGITS

BACKEND = keras.config.backend()
PATH = pathlib.Path(__file__).with_name("golden.json.gz")
DETACHED = {"detach_focus": True}
FL_EPS_MAE = {"loss": {"gamma": 0.1, **DETACHED}}
# The name and the arguments of each loss in the registry, for 10 classes and,
# where they differ, for 100.
LOSSES = {
    "ce": ("ce", {}),
    "mse": ("amse", {"a": 1}),
    "nce": ("nce", {}),
    "nfl_g0.5": ("nfl", {"gamma": 0.5, **DETACHED}),
    "nfl_g0.5_true_gradient": ("nfl", {"gamma": 0.5}),
    "nnce": ("nnce", {"min_prob": 1e-7}),
    "nnce_1e-8": ("nnce", {"min_prob": 1e-8}),
    "nnfl_g0.5": ("nnfl", {"gamma": 0.5, **DETACHED}),
    "nnfl_g0.5_true_gradient": ("nnfl", {"gamma": 0.5}),
    "anl_ce_published": ("nce+nnce", {}),
    "anl_fl_published": ("nfl+nnfl", {"active": DETACHED, "passive": DETACHED}),
    "anl_ce_er_published": ("nce+nnce+er", {}),
    "amse_a30": ("amse", {"a": 30}),
    "jal_ce_published": ("nce+amse", {}),
    "jal_fl_published": ("nfl+amse", {"active": DETACHED}),
    "ce_eps_m1e+02": ("ce+eps", {"m": 1e2}),
    "ce_eps_m1e+05": ("ce+eps", {"m": 1e5}),
    "ce_eps_mae_sym0.8": (
        "ce+eps+mae",
        {"alpha": 0.01, "beta": 5, "active": {"m": 1e5}},
        {"alpha": 0.0075, "beta": 1, "active": {"m": 1e4}},
    ),
    "ce_eps_mae_asym": (
        "ce+eps+mae",
        {"alpha": 0.02, "beta": 5, "active": {"m": 1e3}},
        {"alpha": 0.004, "beta": 1, "active": {"m": 1e2}},
    ),
    "ce_eps_mae_cifarn": ("ce+eps+mae", {}),
    "fl_eps_mae_sym0.8": (
        "focal+eps+mae",
        {"alpha": 0.01, "beta": 5, "active": {"m": 1e5, **FL_EPS_MAE}},
        {"alpha": 0.0075, "beta": 1, "active": {"m": 1e4, **FL_EPS_MAE}},
    ),
    **{
        f"logitclip_code_temp{x}": ("ce+lc", {"norm": 1 / x, "threshold": x})
        for x in (0.4, 2.0)
    },
    **{
        f"logitclip_formula_tau{x}": ("ce+lc", {"norm": x, "threshold": x})
        for x in (0.4, 2.0)
    },
    "ce_lc_delta0.5": ("ce+lc", {"norm": 0.5, "threshold": 2}),
    "ce_lc_delta2.5": ("ce+lc", {"norm": 2.5, "threshold": 0.4}),
    "ldr_kl_l1": ("ldr_kl", {"margin": 0.1, "temperature": 1}),
    "ldr_kl_l10": ("ldr_kl", {"margin": 0.1, "temperature": 10}),
    **{f"js_{x}": ("js", {"weight": x}) for x in (0.1, 0.5, 0.9)},
    "js_unscaled_0.1": ("js", {"weight": 0.1, "scaled": False}),
    "phuber_ce_t2": ("phuber_ce", {"tau": 2}),
    "phuber_ce_t50": ("phuber_ce", {"tau": 50}),
    "phuber_gce_q0.7_t10": ("phuber_gce", {"q": 0.7, "tau": 10}),
    "dal_q0.6_l0.0": ("dal", {"q": 0.6, "entropy_weight": 0}),
    "dal_q1.5_l1.0": ("dal", {"q": 1.5, "entropy_weight": 1, "end": None}),
    **{
        f"nls_r{x}": ("label_smoothing", {"label_smoothing": x})
        for x in (-0.4, -6.0)
    },
    "superloss_fixed": (
        "ce+sl",
        {"regularization": 1},
        {"regularization": 0.25},
    ),
    "bi_tempered_t1_0.8_t2_1.2_it30": ("bi_tempered", {"t1": 0.8, "t2": 1.2}),
    "bi_tempered_t1_0.7_t2_1.5_it30": ("bi_tempered", {"t1": 0.7, "t2": 1.5}),
}
# Rows of ten classes that probabilities of float32 tell apart from a bound.
ORDINARY = [0, 1, 4, 5]


@functools.cache
def golden():
    return json.loads(gzip.decompress(PATH.read_bytes()))


def test_every_golden_loss_is_here():
    assert {name.partition("|")[0] for name in golden()["entries"]} == {*LOSSES}


@pytest.mark.parametrize("batch", ["c10", "c100"])
@pytest.mark.parametrize("name", LOSSES)
def test_golden(name, batch):
    entry = golden()["entries"][f"{name}|{batch}"]
    logits, labels = (np.array(x) for x in golden()["inputs"][batch])
    registered, *settings = LOSSES[name]
    kwargs = settings[-1 if batch == "c100" else 0]
    dataset = "cifar100" if batch == "c100" else None

    def check(y_true, rows, tolerance, from_logits=True, dtype="float32"):
        loss = losses.get(
            registered,
            dataset,
            from_logits=from_logits,
            reduction=None,
            dtype=dtype,
            **kwargs,
        )

        def values(logits):
            return loss(y_true, logits if from_logits else ops.softmax(logits))

        x = logits[rows].astype(dtype)
        if "per_sample" in entry:
            np.testing.assert_allclose(
                ops.convert_to_numpy(values(ops.convert_to_tensor(x))),
                np.array(entry["per_sample"])[rows],
                rtol=tolerance,
                atol=tolerance,
            )
        _, gradient = value_and_gradient(lambda x: ops.mean(values(x)), x)
        expected = np.array(entry["gradient"])[rows]
        np.testing.assert_allclose(
            gradient * (len(rows) / len(logits)),
            expected,
            rtol=tolerance,
            atol=tolerance * np.abs(expected).max(),
        )

    everything = np.arange(len(labels))
    check(labels, everything, 1e-5)
    if batch == "c100":
        return
    one_hot = np.eye(10)[labels]
    # Their SuperLoss is 1e-12 beside the branch point of Lambert's function;
    # their JS counts all classes at least 1e-7, ours the labelled one.
    if BACKEND == "tensorflow" and registered not in ("ce+sl", "js"):
        check(one_hot, everything, 1e-7, dtype="float64")
    else:
        check(one_hot, everything, 1e-5)
    if "per_sample" in entry and registered not in OF_LOGITS:
        rows = ORDINARY
        check(labels[rows], rows, 1e-5, from_logits=False)
