"""FitResult: maps, status in words, reliable values, provenance."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.engine import evaluate
from ivimkit.errors import FitFailedError, OptionError
from ivimkit.fitting.result import VoxelMaps
from ivimkit.scan import blocks
from ivimkit.status import FitStatus, at_lower, at_upper
from made_results import BVALS, biexp_maps, made_result

SHAPE = (2, 3)
STATUS = np.array(
    [
        [FitStatus.OK, FitStatus.OUTSIDE_MASK, FitStatus.NON_FINITE],
        [FitStatus.PERFUSION_NOT_DETECTED, FitStatus.TISSUE_NOT_DETECTED, at_upper(3)],
    ]
)


@pytest.fixture
def result():
    return made_result(biexp_maps(SHAPE), status=STATUS)


def test_params_are_the_maps_in_the_models_order(result):
    assert result.shape == SHAPE
    assert result.params.shape == (*SHAPE, 4)
    for k, name in enumerate(("S0", "f", "D_star", "D")):
        np.testing.assert_array_equal(result.params[..., k], result.maps[name])


def test_predict_is_the_model(result):
    np.testing.assert_array_equal(
        result.predict(BVALS), evaluate(result.model, result.params, BVALS)
    )
    assert result.predict([0.0])[0, 0, 0] == result.maps["S0"][0, 0]


def test_predict_is_nan_without_a_fit():
    maps = biexp_maps((2,))
    for values in maps.values():
        values[1] = np.nan
    predicted = made_result(maps).predict(BVALS)
    assert np.isfinite(predicted[0]).all()
    assert np.isnan(predicted[1]).all()


def test_mask_counts_and_sentences(result):
    assert result.mask.tolist() == [[True, False, True], [True, True, True]]
    assert result.counts() == {
        "OK": 1,
        "OUTSIDE_MASK": 1,
        "NON_FINITE": 1,
        "PERFUSION_NOT_DETECTED": 1,
        "TISSUE_NOT_DETECTED": 1,
        "D_AT_UPPER_BOUND": 1,
    }
    assert result.sentence((0, 2)) == (
        "No value of the signal is finite, or a map that fixes a parameter is not, not fitted."
    )
    assert result.sentence((1, 2)) == "D is at its upper bound (0.005)."


def test_reliable_hides_what_the_data_do_not_identify(result):
    hidden = {
        "D_star": FitStatus.PERFUSION_NOT_DETECTED,
        "fD_star": FitStatus.PERFUSION_NOT_DETECTED | FitStatus.TISSUE_NOT_DETECTED,
        "D": FitStatus.TISSUE_NOT_DETECTED | at_upper(3),
        "f": FitStatus.TISSUE_NOT_DETECTED,
        "S0": FitStatus.OK,
        "ADC": FitStatus.OK,
    }
    for name, flag in hidden.items():
        np.testing.assert_array_equal(
            np.isnan(result.reliable(name)), (STATUS & int(flag)) != 0, err_msg=name
        )
    assert np.isfinite(result.maps["D_star"]).all(), "the maps keep their values"


@pytest.mark.parametrize("flag", [at(k) for k in range(4) for at in (at_lower, at_upper)])
def test_a_value_at_its_bound_is_not_reliable(flag):
    """But f = 0 is: that bound is the end of what f can be."""
    result = made_result(biexp_maps((2,)), status=[0, flag])
    doubted = {
        at_lower(0): {"S0"},
        at_upper(0): {"S0"},
        at_lower(1): set(),
        at_upper(1): {"f", "fD_star"},
        at_lower(2): {"f", "D_star", "fD_star"},
        at_upper(2): {"D_star", "fD_star"},
        at_lower(3): {"f", "D_star", "D", "fD_star"},
        at_upper(3): {"D"},
    }
    assert {name for name in result.maps if np.isnan(result.reliable(name)[1])} == doubted[flag]
    assert all(np.isfinite(result.reliable(name)[0]) for name in result.maps)


def test_f_of_pools_that_merge_is_not_reliable():
    """But where perfusion is not detected, f is small, and D* at its bound says nothing of it."""
    seen = at_lower(2) | FitStatus.PERFUSION_NOT_DETECTED
    result = made_result(biexp_maps((2,)), status=[at_lower(2), seen])
    assert np.isnan(result.reliable("f")).tolist() == [True, False]


@pytest.mark.parametrize("snr", [20, 40])
def test_reliable_f_is_near_the_truth(snr):
    """Of all f none is off by more than 0.3 where it is reliable; most of the others are."""
    made = ik.simulate.phantom(shape=(64, 48, 2), snr=snr, seed=1)
    result = ik.fit(made.dwi)
    error = np.abs(result.maps["f"] - made.truth["f"])
    good, known = np.isfinite(result.reliable("f")), np.isfinite(error)
    assert (error[good & known] < 0.3).mean() > 0.999
    assert (error[~good & known] > 0.3).mean() > 0.5
    # Vessels, which are nearly all perfusion, stay.
    vessels = known & (made.truth["f"] > 0.8)
    assert good[vessels].mean() > 0.9


def test_reliable_of_a_model_without_pools_of_that_kind():
    result = made_result(
        {"S0": [1.0], "ADC": [1e-3]}, model="monoexp", method="loglinear", status=[32 + 64]
    )
    assert np.isfinite(result.reliable("S0")).all()


def test_raise_for_status(result):
    result.raise_for_status(max_failed=0.2)
    with pytest.raises(
        FitFailedError,
        match=r"1 of 5 voxels \(20.0%\) could not be fitted \(NON_FINITE: 1\); accepted are 10.0%",
    ):
        result.raise_for_status(max_failed=0.1)
    with pytest.raises(FitFailedError, match="Look at the status map"):
        result.raise_for_status()
    replace(result, status=np.zeros(SHAPE, np.int32)).raise_for_status()


def test_results_cannot_be_changed(result):
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'maps'"):
        result.maps = {}


@pytest.mark.parametrize("order", ["C", "F"])
def test_voxel_maps_are_spread_when_asked_for(order):
    full = np.full((3, 4), np.nan)
    full[[0, 1, 2], [3, 0, 2]] = 1.0, 2.0, 3.0
    index = np.flatnonzero(~np.isnan(full.ravel(order=order)))
    maps = VoxelMaps({"D": full.ravel(order=order)[index]}, index, (3, 4), order)
    np.testing.assert_array_equal(maps["D"], full)
    assert list(maps) == ["D"]
    assert len(maps) == 1
    assert "D" in maps
    assert "f" not in maps
    with pytest.raises(OptionError, match="there is no map 'f'; there are D"):
        _ = maps["f"]


def test_half_intervals_and_information_of_bayes():
    maps = biexp_maps(SHAPE)
    maps |= {"D_lo50": 0.9 * maps["D"], "D_hi50": 1.1 * maps["D"], "f_bits": 2.0 * maps["f"]}
    result = made_result(maps)
    low, high = result.interval50["D"]
    np.testing.assert_array_equal(low, maps["D_lo50"])
    np.testing.assert_array_equal(high, maps["D_hi50"])
    assert list(result.interval50) == ["D"]
    assert list(result.information) == ["f"]
    np.testing.assert_array_equal(result.information["f"], maps["f_bits"])
    with pytest.raises(OptionError, match=r"no information on 'S0'; there is f"):
        result.information["S0"]
    with pytest.raises(OptionError, match=r"no 50 % interval of 'f'; there is D"):
        result.interval50["f"]


def test_a_fit_that_does_not_tell_says_which_one_does():
    result = made_result(biexp_maps(SHAPE))
    with pytest.raises(OptionError, match=r"no information on 'D'; .* fit with method bayes"):
        result.information["D"]
    with pytest.raises(OptionError, match=r"no uncertainty of 'D'; .*uncertainty=\.\.\. or with"):
        result.sd["D"]


@pytest.mark.parametrize("order", ["C", "F"])
def test_one_voxel_and_a_box_are_those_of_the_maps(order):
    shape = (4, 3, 2)
    rng = np.random.default_rng(5)
    index = np.sort(rng.choice(24, 15, replace=False))
    maps = VoxelMaps({"D": rng.random(15), "f": rng.random(15)}, index, shape, order)
    for voxel in np.ndindex(*shape):
        expected = {name: maps[name][voxel] for name in maps}
        np.testing.assert_equal(maps.at(voxel), expected)
    for box in ((slice(1, 3), slice(0, 1), slice(1, 2)), (slice(None),) * 3):
        for name, part in maps.within(box).items():
            np.testing.assert_array_equal(part, maps[name][box])
            np.testing.assert_array_equal(maps.part(name, box), maps[name][box])
    for box in (np.s_[1:3, :, [1, 0]], np.s_[[2, 0], :, 1:]):
        np.testing.assert_array_equal(maps.part("D", box), maps["D"][box])


@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_are_the_result_one_after_the_other(order, monkeypatch):
    monkeypatch.setattr(blocks, "MAX_BLOCK_VOXELS", 60)
    made = ik.simulate.phantom(shape=(8, 6, 5), snr=20)
    signal = np.array(made.dwi.signal, order=order)
    result = ik.fit(signal, made.dwi.acquisition.bvals, mask=made.labels > 0)
    unreliable = np.zeros(result.shape, dtype=bool)
    for box, part in result.blocks():
        assert part.status.size <= 60
        for name in result:
            np.testing.assert_array_equal(part[name], result[name][box])
        unreliable[box] = part.unreliable("f") & np.isfinite(part["f"])
    expected = np.isfinite(result["f"]) & ~np.isfinite(result.reliable("f"))
    np.testing.assert_array_equal(unreliable, expected)
    found = np.sort(result["D"][np.isfinite(result["D"])])
    np.testing.assert_array_equal(np.sort(result.values_of("D")), found)
    assert result.codes.inside.total == np.count_nonzero(result.mask)
    assert sum(result.codes.numbers) == result.status.size


def test_one_voxel_of_a_signal_without_axes():
    signal = 1000 * np.exp(-1e-3 * np.array([0.0, 200.0, 400.0, 800.0]))
    result = ik.fit(signal, [0, 200, 400, 800], model="monoexp")
    assert result.at(())["ADC"] == float(result.maps["ADC"])
    np.testing.assert_equal(
        result.at(()), {name: float(result.maps[name]) for name in result.maps}
    )
