import numpy as np
import pytest

from ivimkit import models, simulate
from ivimkit.errors import OptionError

SHAPE = (64, 48, 2)


def made(**options):
    return simulate.phantom(shape=SHAPE, snr=None, seed=3, **options)


@pytest.fixture(scope="module")
def plain():
    return made()


@pytest.fixture(scope="module")
def rough():
    return made(texture=simulate.Texture({"D": 0.1, "f": 0.2}))


def test_parameters_vary_as_much_as_they_are_told_to(plain, rough):
    liver = rough.region("liver")
    assert np.array_equal(liver, plain.region("liver"))
    for name, spread in (("D", 0.1), ("f", 0.2), ("D_star", 0.0)):
        logs = np.log(rough.truth[name][liver])
        # Half of it is smooth over 15 mm, so that the liver has few independent values of it.
        assert logs.std() == pytest.approx(spread, rel=0.25, abs=1e-6), name
        assert logs.mean() == pytest.approx(np.log(plain.truth[name][liver][0]), abs=0.5 * spread)


def test_the_signal_of_pure_voxels_is_that_of_the_truth(rough):
    liver = rough.region("liver")
    truth = {name: values[liver].astype(float) for name, values in rough.truth.items()}
    expected = simulate.signals("biexp", truth, simulate.B13)
    np.testing.assert_allclose(rough.dwi.signal[liver], expected, rtol=1e-5)


def test_smooth_texture_is_alike_in_neighbours_and_the_other_is_not():
    def correlation(smooth):
        fields = simulate.Texture({"D": 0.1}, smooth=smooth).factors(
            simulate.abdomen.ABDOMEN.grid(SHAPE), seed=0
        )
        logs = np.log(fields["D"])
        return np.corrcoef(logs[1:].ravel(), logs[:-1].ravel())[0, 1]

    assert correlation(1.0) > 0.6
    assert abs(correlation(0.0)) < 0.1


def test_seed_and_parameter_decide_the_field_and_nothing_else():
    grid = simulate.abdomen.ABDOMEN.grid(SHAPE)
    alone = simulate.Texture({"D": 0.1}).factors(grid, seed=5)["D"]
    both = simulate.Texture({"f": 0.3, "D": 0.1}).factors(grid, seed=5)["D"]
    np.testing.assert_array_equal(alone, both)
    assert not np.array_equal(alone, simulate.Texture({"D": 0.1}).factors(grid, seed=6)["D"])


def test_values_stay_possible():
    wild = made(texture=simulate.Texture({"f": 2.0, "D": 2.0}))
    bounds = models.get("biexp")
    for name in ("f", "D"):
        known = wild.truth[name][np.isfinite(wild.truth[name])]
        assert known.min() >= bounds[name].lower
        assert known.max() <= np.float32(bounds[name].upper)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"spread": {"D": -0.1}}, "the texture of D is -0.1; expected a number >= 0"),
        ({"smooth": 1.5}, "smooth share of a texture is 1.5; expected 0 to 1"),
        ({"fwhm": 0.0}, "fwhm of a texture is 0.0 mm; expected a number > 0"),
    ],
)
def test_bad_numbers(given, message):
    with pytest.raises(OptionError, match=message):
        simulate.Texture(**given)


def test_a_parameter_that_the_model_does_not_have():
    with pytest.raises(OptionError, match="varies K, which model biexp does not have; expected"):
        made(texture=simulate.Texture({"K": 0.1}))
