"""Checks of voxels where numbers are read: a mask hides no bad lesion, and spoils no good one."""

from __future__ import annotations

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import ShapeError
from ivimkit.quality import Light, lights, overall
from ivimkit.quality.region_checks import in_each, named
from ivimkit.status import FitStatus, at_upper
from made_results import biexp_maps, made_result

SHAPE = (20, 10)
PLACES = np.zeros(SHAPE, np.int32)
PLACES[0], PLACES[1:6] = 1, 2
REGIONS = ik.Labels(PLACES, {1: "lesion", 2: "liver"})
UNSEEN = FitStatus.PERFUSION_NOT_DETECTED | at_upper(2)


def judged(flagged, flags, **arguments):
    """Return the lights of the mask and of the regions, where some voxels have flags."""
    maps = {**biexp_maps(SHAPE), "cost": np.full(SHAPE, 400.0)}
    result = made_result(maps, status=np.where(flagged, int(flags), 0))
    arguments = {"noise": ik.noise.given(5.0), "findings": (), **arguments}
    found = [lights(result, labels=labels, **arguments) for labels in (None, REGIONS)]
    return [{light.name: light for light in one} for one in found]


def test_a_bad_lesion_turns_the_light_that_a_good_mask_hides():
    whole, regions = judged(PLACES == 1, UNSEEN)
    name = "perfusion not detected"
    assert (whole[name].colour, regions[name].colour) == ("green", "red")
    assert regions[name].region == "lesion"
    assert regions[name].reason.startswith("lesion: In 10 of 10 fitted voxels (100.0 %) f is not")
    assert "average over regions" in regions[name].advice
    assert overall(list(whole.values())).colour != "red"
    assert overall(list(regions.values())).colour == "red"


def test_a_bad_mask_does_not_turn_the_light_of_good_regions():
    whole, regions = judged(PLACES == 0, UNSEEN)
    name = "perfusion not detected"
    assert (whole[name].colour, regions[name].colour) == ("red", "green")
    assert regions[name].reason.endswith("Likewise good: liver.")
    # Checks that are there only where they are not good.
    assert "one exponential as good" in whole
    assert "one exponential as good" not in regions


def test_the_signal_to_noise_ratio_is_that_of_the_darkest_region():
    # The median S0 is 511 in the lesion, 587 in the liver and 750 in the mask.
    whole, regions = judged(PLACES < 0, 0, noise=ik.noise.given(11.0))
    name = "signal-to-noise ratio"
    assert (whole[name].colour, regions[name].colour) == ("green", "yellow")
    assert regions[name].region == "lesion"


@pytest.mark.parametrize(("n", "colour"), [(2, None), (3, "yellow"), (6, "red")])
def test_voxels_of_a_region_outside_the_mask(n, colour):
    outside = (PLACES == 1) & (np.arange(SHAPE[1]) < n)
    whole, regions = judged(outside, FitStatus.OUTSIDE_MASK)
    name = "region outside the mask"
    assert name not in whole
    assert regions[name].colour == colour if colour else name not in regions
    if colour:
        assert f"lesion: {n} of 10 voxels ({10 * n}.0 %) are outside the mask" in (
            regions[name].reason
        )


def test_a_region_without_signal_has_no_decay():
    def decay(S0):
        result = made_result({**biexp_maps(SHAPE), "S0": S0})
        found = lights(result, labels=REGIONS, noise=ik.noise.given(20.0))
        (light,) = [one for one in found if one.name == "decay of the signal"]
        return light.colour, light.region

    assert decay(np.where(PLACES == 1, 30.0, 500.0)) == ("red", "lesion")
    assert decay(np.full(SHAPE, 30.0)) == ("red", "")


def test_labels_of_another_shape():
    with pytest.raises(ShapeError, match=r"the region has shape \(3, 3\); expected \(20, 10\)"):
        lights(made_result(biexp_maps(SHAPE)), labels=np.ones((3, 3), int))


def test_the_worst_of_all_regions_counts_and_the_others_of_its_colour_are_named():
    # Without the bit of voxels outside the mask.
    status = 2 * np.arange(7)
    result = made_result(biexp_maps((7,)), status=status)
    names = dict(zip(range(1, 8), "abcdefg", strict=True))
    colours = iter(["green", "yellow", "grey", "yellow", *["red"] * 3])

    def judge(part):
        (number,) = part.status[part.mask]
        return [Light("one", next(colours), f"why {number}.", f"do {number}")]

    found = list(in_each(result, ik.Labels(status // 2 + 1, names), judge))
    assert found == [
        Light("one", "red", "e: why 8. Likewise poor: f and g.", "do 8", "e, f and g")
    ]
    assert named("abcdefg") == "a, b, c and 4 more regions"
