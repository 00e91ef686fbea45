import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError, ShapeError
from ivimkit.extend.prior import broad, even_knots
from ivimkit.extend.prior_table import PriorTable, hat_integrals, with_floor
from tolerances import CLOSED_FORM

KNOTS = (np.array([1e-3, 2e-3, 4e-3]), np.array([0.01, 0.1]), np.array([0.0, 0.1, 0.4, 1.0]))
NAMES = ("D", "D_star", "f")


def made(density=None, **changes):
    if density is None:
        density = np.random.default_rng(1).uniform(0.5, 2.0, (3, 2, 4))
    return PriorTable(
        **{"model": "biexp", "rule": "mine", "names": NAMES, "knots": KNOTS, "density": density}
        | changes
    )


def test_a_density_is_scaled_to_1_and_its_marginals_are_integrals():
    table = made()
    slow, fast, fraction = table.axes()
    np.testing.assert_array_equal(fast, np.log(KNOTS[1]))
    whole = np.trapezoid(np.trapezoid(np.trapezoid(table.density, fraction), fast), slow)
    assert whole == pytest.approx(1.0, rel=CLOSED_FORM)
    assert not table.flat
    one, two, three = table.marginals()
    over = np.trapezoid(table.density, fraction)
    np.testing.assert_allclose(one, np.trapezoid(over, fast), rtol=CLOSED_FORM)
    np.testing.assert_allclose(two, np.trapezoid(over, slow, axis=0), rtol=CLOSED_FORM)
    assert np.trapezoid(three, fraction) == pytest.approx(1.0, rel=CLOSED_FORM)
    np.testing.assert_allclose(hat_integrals(slow), [0.5e-3, 1.5e-3, 1e-3], rtol=CLOSED_FORM)
    np.testing.assert_array_equal(hat_integrals(slow[:1]), [1.0])


def test_mean_of_a_table_and_of_a_flat_one():
    narrow = np.zeros((3, 2, 4))
    narrow[1, 0, 2] = 7.0
    assert made(narrow).mean() == {"D": 2e-3, "D_star": 0.01, "f": 0.4}
    flat = made(np.zeros((0, 0, 0)))
    assert flat.flat
    even = even_knots(ik.models.get("biexp"), (33, 65, 33))
    middle = even.mean()
    assert middle["D"] == pytest.approx(2.5e-3)
    assert middle["f"] == pytest.approx(0.5)
    assert middle["D_star"] == pytest.approx(0.101, rel=1e-2)


def test_parameters_that_are_fixed_or_not_there_have_one_knot():
    model = ik.models.get("biexp").with_fixed(D_star=0.02)
    table = even_knots(model, (5, 6, 7))
    assert [axis.size for axis in table.knots] == [5, 1, 7]
    assert table.knots[1] == [0.02]
    table = even_knots(ik.models.get("monoexp"), (5, 6, 7))
    assert table.names == ("ADC", None, None)
    assert [axis.size for axis in table.knots] == [5, 1, 1]
    assert list(table.mean()) == ["ADC"]


def test_floor_leaves_some_mass_everywhere():
    narrow = np.zeros((3, 2, 4))
    narrow[1, 0, 2] = 7.0
    table = with_floor(made(narrow), 0.1)
    mass = table.density * table.volumes()
    assert mass.sum() == pytest.approx(1.0, rel=CLOSED_FORM)
    even = 0.1 / table.volumes().sum()
    np.testing.assert_allclose(table.density[0], even, rtol=CLOSED_FORM)


def test_same_numbers():
    assert made().same_as(made())
    assert not made().same_as(made(rule="other"))
    assert not made().same_as(made(np.ones((3, 2, 4))))
    assert not made().same_as(made(knots=(KNOTS[0] * 2, *KNOTS[1:])))


@pytest.mark.parametrize(
    ("density", "error", "message"),
    [
        (np.ones((3, 2, 3)), ShapeError, r"density has shape \(3, 2, 3\); expected \(3, 2, 4\)"),
        (np.full((3, 2, 4), np.nan), OptionError, "must be finite and >= 0"),
        (-np.ones((3, 2, 4)), OptionError, "must be finite and >= 0"),
        (np.zeros((3, 2, 4)), OptionError, "zero everywhere; expected some mass"),
    ],
)
def test_what_is_no_density(density, error, message):
    with pytest.raises(error, match=message):
        made(density)


def test_the_start_of_learning_is_broad():
    frame = even_knots(ik.models.get("biexp"), (30, 40, 20))
    table = broad(frame, 1.2e-3)
    slow, fast, _ = frame.knots
    assert table.shape == (30, 40, 20)
    assert (table[:, fast < 6e-3] == 0).all(), "what decays no faster need not be blood"
    assert (table[:, fast >= 6e-3] > 0).all()
    one, two, three = table.sum((1, 2)), table.sum((0, 2)), table.sum((0, 1))
    assert (np.diff(three) < 0).all()
    # With respect to ln D it is symmetric about the median, with respect to D it is not.
    assert slow[(one * slow).argmax()] == pytest.approx(1.2e-3, abs=np.ptp(slow) / 29)
    assert fast[two.argmax()] == pytest.approx(0.025, rel=0.1)
    # Where all allowed D* are slower, there is no limit.
    slowly = even_knots(ik.models.get("biexp").with_bounds(D_star=(3e-3, 5e-3)), (30, 8, 20))
    assert (broad(slowly, 1.2e-3) > 0).all()
