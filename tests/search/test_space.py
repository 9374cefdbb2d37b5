import keras
import numpy as np
import pytest

from keras_arl import learners
from keras_arl import losses
from keras_arl.losses import ARL
from keras_arl.losses import TaylorLoss
from keras_arl.losses.taylor import polynomial
from keras_arl.search.memory_space import MemorySpace
from keras_arl.search.numbers_space import NumbersSpace
from keras_arl.search.space import BatchTaylorSpace
from keras_arl.search.space import ScheduledTaylorSpace
from keras_arl.search.space import TaylorSpace


def random_vector(seed):
    return list(np.random.default_rng(seed).normal(size=12))


@pytest.mark.parametrize("class_aware", [False, True])
def test_a_candidate_is_as_steep_as_cross_entropy(class_aware):
    for seed in range(20):
        vector = random_vector(seed)
        space = TaylorSpace(4, class_aware)
        loss = space.to_method(space.scaled(vector))
        assert loss.class_aware == class_aware
        assert loss.center == pytest.approx(vector[-2:])
        ratios = np.array(loss.coefficients) / vector[:10]
        assert ratios == pytest.approx(ratios[0])
        assert ratios[0] > 0
        steepest = polynomial.steepest_pull(
            loss.coefficients, loss.center, 4, class_aware
        )
        assert steepest == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("factor", [1e-30, 0.1, 1e30])
def test_a_candidate_has_no_scale(factor):
    space, vector = TaylorSpace(4, True), random_vector(0)
    scaled = [factor * theta for theta in vector[:10]] + vector[10:]
    assert space.scaled(scaled) == pytest.approx(space.scaled(vector), rel=1e-6)


@pytest.mark.parametrize("theta", [[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
def test_a_candidate_without_a_gradient_is_left_as_it_is(theta):
    vector = [*theta, 0.3, 0.0]
    assert TaylorSpace(2, False).scaled(vector) == vector


def test_names_by_order():
    assert TaylorSpace(2, False).names == [
        "theta_10", "theta_11", "theta_20", "center_p", "center_y",
    ]  # fmt: skip
    for order in range(2, 7):
        assert len(TaylorSpace(order, False).names) == (
            order * (order + 1) // 2 + 2
        )


def test_starting_points_are_known_losses():
    def loss(name):
        vector = TaylorSpace(4, False).starting_point(name)
        return TaylorLoss(vector[:10], center=vector[10:])

    p = np.array([[0.3, 0.5, 0.2]])
    linear = loss("linear")
    assert float(linear(np.array([1]), p)) == pytest.approx(2 * (1 - 0.5))
    # Within the Taylor polynomial's error: (2p - 1)^5 / 5 and less.
    ce = loss("ce")
    at_half = float(ce(np.array([1]), p))
    at_more = float(ce(np.array([1]), np.array([[0.2, 0.6, 0.2]])))
    assert at_half - at_more == pytest.approx(np.log(0.6 / 0.5), abs=1e-3)


def test_a_space_that_moves_has_the_changes_behind_the_centre():
    space, static = ScheduledTaylorSpace(3, False), TaylorSpace(3, False)
    changes = ["theta_101", "theta_111", "theta_201", "theta_102"]
    assert space.names == [*static.names, *changes]
    # -(1 + s - 0.5) p_y pulls with 1.5 / 4 at the end, where it is steepest.
    theta = [0.0, -1.0, 0.0, 0.0, 0.0, 0.0]
    vector = space.scaled([*theta, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0])
    assert vector[1] == vector[-3] == pytest.approx(-8 / 3)
    loss = space.to_method(vector)
    assert loss.at(0.0).coefficients[1] == pytest.approx(-4 / 3)
    start = space.starting_point("linear")
    assert start == [*static.starting_point("linear"), 0.0, 0.0, 0.0, 0.0]
    assert space.numbers_of(loss) == pytest.approx(vector)
    for other in (static, MemorySpace(static), BatchTaylorSpace(3, False)):
        with pytest.raises(ValueError, match="has a third variable"):
            other.numbers_of(loss)


def test_a_search_can_start_from_the_loss_that_ships():
    arl = ARL()
    vector = TaylorSpace().starting_point("arl")
    assert TaylorSpace().to_method(vector).expression() == arl.expression()
    with pytest.raises(ValueError, match="The loss has order=4"):
        TaylorSpace(order=3).starting_point("arl")
    for space in (TaylorSpace(), ScheduledTaylorSpace(), MemorySpace()):
        with pytest.raises(ValueError, match=r"Expected one of .*SCE\("):
            space.numbers_of(losses.SCE())
    with_memory = MemorySpace().to_method([0.0] * 16)
    with pytest.raises(ValueError, match=r"Expected one of .*TaylorMemory"):
        TaylorSpace().numbers_of(with_memory)


def test_numbers_of_a_known_loss():
    space = NumbersSpace("sce", ("alpha", "beta"))
    start = space.starting_point(None)
    assert space.scaled(start) == pytest.approx([0.1, 1.0])
    loss = space.to_method([0.5, 2.0], from_logits=True)
    assert repr(loss) == (
        "SCE(alpha=0.5, beta=2.0, log_zero=-4.0, from_logits=True)"
    )
    with pytest.raises(ValueError, match=r"names of arguments.*\('q',\)"):
        NumbersSpace("sce", ("q",))
    with pytest.raises(ValueError, match="`x0` must be above 0"):
        space.starting_point([1.0, 0.0])


def test_numbers_of_a_learner():
    space = NumbersSpace("ELR", ("weight", "beta"))
    start = space.starting_point(None)
    assert space.scaled(start) == pytest.approx([3.0, 0.7])
    method = space.to_method([0.5, 0.9], from_logits=True)
    assert method.func is learners.ELR
    assert method.keywords == {
        "weight": 0.5, "beta": 0.9, "from_logits": True
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"names of arguments.*'sigma'"):
        NumbersSpace("ELR", ("sigma",))
    with pytest.raises(ValueError, match="plot_memory"):
        NumbersSpace("plot_memory", ("num_classes",))


@pytest.mark.parametrize("loss", [TaylorSpace(3), ScheduledTaylorSpace(3)])
@pytest.mark.parametrize("changes", [False, True])
def test_a_space_with_memory_holds_that_of_the_loss(loss, changes):
    space = MemorySpace(loss, changes)
    count = len(loss.names)
    assert space.names[:count] == loss.names
    vector = space.starting_point("linear")
    assert vector[:count] == loss.starting_point("linear")
    # As steep as cross-entropy; the memory's numbers come back as they were.
    numbers = space.scaled(vector)
    assert numbers[:count] == loss.scaled(vector[:count])
    assert numbers[-4:] == pytest.approx([1.0, 0.7, 1.0, 0.1])
    assert space.scaled(space.starting_point(numbers)) == pytest.approx(numbers)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    method = space.to_method(numbers, from_logits=True)
    assert space.numbers_of(method) == pytest.approx(numbers)
    learner = method(model)
    assert type(learner.base_loss) is type(loss.to_method(numbers[:count]))
    assert learner.base_loss.from_logits
    assert len(learner.changes) == (4 if changes else 0)
    with pytest.raises(ValueError, match=r"`start` cannot be .* start=1\.0"):
        space.starting_point([*numbers[:-1], 1.0])
