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


def test_a_loss_has_one_style_in_every_picture():
    names = [*losses.names(), "found"]
    styles = {name: analysis.style_of(name) for name in names}
    assert analysis.style_of("ARL") == styles["arl"]
    seen = {(s["color"], s["linestyle"]) for s in styles.values()}
    assert len(seen) == len(names)
    widths = {name: style["linewidth"] for name, style in styles.items()}
    assert {n for n in names if widths[n] > 2} == {"arl", "found"}
    figure = analysis.plot_losses({"ARL": losses.ARL(), "MAE": losses.MAE()})
    for axes in figure.axes:
        for name in ("ARL", "MAE"):
            (line,) = (x for x in axes.get_lines() if x.get_label() == name)
            assert line.get_color() == styles[name.lower()]["color"]


@pytest.mark.parametrize(
    ("loss", "leaves"),
    [
        (losses.CrossEntropy(), [True, False]),
        (losses.CrossEntropy(label_smoothing=0.1), [True, True]),
        (losses.SCE(), [True, False]),
        (losses.GCE(), [False, False]),
        (losses.MAE(), [False, False]),
        (losses.ARL(), [False, False]),
    ],
    ids=lambda x: type(x).__name__,
)
def test_losses_without_a_bound_leave_the_frame(loss, leaves):
    figure = analysis.plot_losses({"loss": loss})
    p, value = curves(figure, 0)["loss"]
    assert p[[0, -1]].tolist() == [0, 1]
    top = figure.axes[0].get_ylim()[1]
    assert [value[0] > 10 * top, value[-1] > 10 * top] == leaves
    assert value.min() >= 0
    assert value[1:-1].max() < top


def test_the_legend_tells_every_mark():
    figure = analysis.plot_losses(
        {"CE": losses.CrossEntropy(), "truncated": losses.TruncatedGCE()}
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "CE",
        "truncated (not scaled: no slope at 1/C)",
        "uniform prediction, 1/C",
    ]


def test_a_loss_that_moves_is_drawn_at_both_ends():
    loss = losses.ScheduledTaylorLoss(
        [0, -1, 0, 0, 0, 0], [0, -1, 0, 0], order=3
    )
    figure = analysis.plot_losses({"moving": loss})
    assert set(curves(figure, 0)) == {"moving, start", "moving, end"}
