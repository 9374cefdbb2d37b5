import keras
import numpy as np
import pytest

from keras_arl import analysis
from keras_arl import losses
from keras_arl.losses import TaylorLoss


def curves(figure, axes):
    return {
        line.get_label(): line.get_xydata().T
        for line in figure.axes[axes].get_lines()
        if not line.get_label().startswith("_")
    }


def test_curves_are_the_losses():
    figure = analysis.plot_losses(
        {
            "CE": keras.losses.SparseCategoricalCrossentropy(),
            "unhinged": TaylorLoss([0, -5, 0], order=2),
        },
        num_classes=4,
    )
    p, value = curves(figure, 0)["unhinged"]
    np.testing.assert_allclose(value, 1 - p, atol=1e-4)
    p, value = curves(figure, 0)["CE"]
    # Slope -4 at the uniform prediction is scaled to -1.
    np.testing.assert_allclose(value[5:], -np.log(p[5:]) / 4, atol=5e-3)
    p, slope = curves(figure, 1)["CE"]
    middle = (p > 0.1) & (p < 0.99)
    np.testing.assert_allclose(
        slope[middle], -1 / (4 * p[middle]), rtol=0.01, atol=1e-3
    )
    assert figure.axes[1].get_ylim() == pytest.approx((-3.15, 0.15))


@pytest.mark.parametrize("num_classes", [2, 10, 1000])
def test_slope_at_the_uniform_prediction_is_1(num_classes):
    drawn = {
        "CE": losses.CrossEntropy(),
        "CE from logits": losses.CrossEntropy(from_logits=True),
        "flat": losses.AEL(a=1e6),
    }
    figure = analysis.plot_losses(drawn, num_classes)
    for name in ("CE", "CE from logits"):
        p, slope = curves(figure, 1)[name]
        np.testing.assert_allclose(slope, -1 / (num_classes * p), rtol=1e-3)
    np.testing.assert_allclose(curves(figure, 1)["flat"][1], -1, rtol=1e-3)


def test_invalid_arguments():
    with pytest.raises(ValueError, match=r"a loss to draw.*\{\}"):
        analysis.plot_losses({})
    with pytest.raises(ValueError, match=r"num_classes=2\.5"):
        analysis.plot_losses({"MAE": losses.MAE()}, 2.5)


def test_figure_can_be_written(tmp_path):
    figure = analysis.plot_losses({"ARL": losses.ARL()})
    figure.savefig(tmp_path / "losses.png")
    assert (tmp_path / "losses.png").stat().st_size > 5000
