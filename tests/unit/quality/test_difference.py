import numpy as np
import pytest
from scipy import stats

from ivimkit.errors import OptionError, ShapeError
from ivimkit.quality import difference
from made_results import biexp_maps, made_result
from tolerances import CLOSED_FORM

SHAPE = (6, 5, 4)
AFFINE = np.diag([-2.0, 2.0, 5.0, 1.0])


def pair(seed=0):
    maps = biexp_maps(SHAPE)
    noise = np.random.default_rng(seed).normal(1e-5, 2e-4, SHAPE)
    return made_result(maps, affine=AFFINE), made_result(
        {**maps, "D": maps["D"] + noise}, affine=AFFINE, method="segmented"
    )


def test_maps_are_second_minus_first():
    first, second = pair()
    found = difference(first, second, ("before", "after"))
    np.testing.assert_allclose(
        found.maps["D"], second.maps["D"] - first.maps["D"], rtol=1e-6, atol=1e-12
    )
    assert found.maps["D"].dtype == np.float32
    assert not found.maps["f"].any()
    assert found.names == ("before", "after")
    assert list(found.rows) == ["ADC", "D", "f", "D_star", "fD_star", "S0"]


def test_rows_are_those_of_bland_and_altman():
    first, second = pair()
    row = difference(first, second).rows["D"]
    x, y = first.maps["D"].ravel(), second.maps["D"].ravel()
    sd = np.std(y - x, ddof=1)
    assert row["unit"] == "mm^2/s"
    assert (row["n"], row["missing"]) == (x.size, 0)
    np.testing.assert_allclose(
        [row[key] for key in ("first_mean", "second_mean", "difference", "sd")],
        [x.mean(), y.mean(), (y - x).mean(), sd],
        rtol=CLOSED_FORM,
    )
    limits = (y - x).mean() + stats.norm.ppf([0.025, 0.975]) * sd
    np.testing.assert_allclose([row["lower"], row["upper"]], limits, rtol=CLOSED_FORM)
    np.testing.assert_allclose(
        row["correlation"], stats.pearsonr(x, y).statistic, rtol=CLOSED_FORM
    )


def test_voxels_with_one_value_are_missing():
    first, second = pair()
    first.maps["D"][0, 0, 0] = second.maps["D"][1, :2, 0] = np.nan
    found = difference(first, second, maps=["D"])
    assert (found.rows["D"]["n"], found.rows["D"]["missing"]) == (117, 3)
    assert np.isnan(found.maps["D"]).sum() == 3


def test_a_constant_map_has_no_correlation():
    first, second = pair()
    first.maps["D"][:] = 1e-3
    assert np.isnan(difference(first, second).rows["D"]["correlation"])


def test_other_models_share_what_they_have():
    first, _ = pair()
    other = made_result(
        {name: biexp_maps(SHAPE)[name] for name in ("S0", "ADC")}, model="monoexp", affine=AFFINE
    )
    assert list(difference(first, other).rows) == ["ADC", "S0"]


def test_as_a_table():
    table = difference(*pair()).table()
    assert table.index.name == "map"
    assert table.loc["D", "n"] == 120


def test_another_shape():
    first, _ = pair()
    with pytest.raises(ShapeError, match=r"shapes \(6, 5, 4\) and \(3, 5, 4\); expected one grid"):
        difference(first, made_result(biexp_maps((3, 5, 4))))


@pytest.mark.parametrize("change", [(0, 3, 1.0), (2, 2, 0.2)])
def test_another_position(change):
    i, j, by = change
    affine = AFFINE.copy()
    affine[i, j] += by
    first, _ = pair()
    with pytest.raises(ShapeError, match=r"are up to [\d.]+ mm apart; expected one position"):
        difference(first, made_result(biexp_maps(SHAPE), affine=affine))


def test_rounding_of_the_position_does_not_matter():
    affine = AFFINE.copy()
    affine[:3, 3] += 1e-4
    first, _ = pair()
    assert difference(first, made_result(biexp_maps(SHAPE), affine=affine)).rows


def test_unknown_map():
    with pytest.raises(OptionError, match="no map 'T2' in both results; expected some of S0, f"):
        difference(*pair(), maps=["D", "T2"])


def test_nothing_in_common():
    first = made_result({"D": np.ones(SHAPE)})
    with pytest.raises(OptionError, match="no map in both results; expected some of none"):
        difference(first, made_result({"f": np.ones(SHAPE)}))


def test_two_of_one_name():
    with pytest.raises(OptionError, match="expected two different ones"):
        difference(*pair(), ("A", "A"))
