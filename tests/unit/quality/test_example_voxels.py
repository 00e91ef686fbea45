import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError, ShapeError
from ivimkit.quality import example_voxels
from ivimkit.status import FitStatus
from made_results import biexp_maps, made_result

SHAPE = (3, 3)


def result(relative, status=None):
    maps = biexp_maps(SHAPE)
    maps["rmse"] = np.reshape(relative, SHAPE) * maps["S0"]
    return made_result(maps, status=status)


def test_best_median_and_worst_by_residual_relative_to_s0():
    found = example_voxels(result([5, 2, 9, 4, 1, 7, 3, 8, 6]))
    want = {"best fit": (1, 1), "median fit": (0, 0), "worst fit": (0, 2)}
    assert found == want
    assert list(found) == list(want)


def test_voxels_without_a_fit_are_left_out():
    status = np.zeros(SHAPE, int)
    status[1, 1], status[0, 2] = FitStatus.NOT_CONVERGED, FitStatus.OUTSIDE_MASK
    found = example_voxels(result([5, 2, 9, 4, 1, 7, 3, 8, np.nan], status))
    assert found == {"best fit": (0, 1), "median fit": (1, 0), "worst fit": (2, 1)}


def test_each_region_adds_its_median_voxel_unless_it_is_there():
    labels = ik.Labels([[1, 1, 1], [2, 2, 2], [0, 0, 3]], {1: "liver", 2: "lesion", 3: "spleen"})
    found = example_voxels(result([5, 2, 9, 4, 1, 7, 3, 8, 6]), labels)
    # The median of the liver is the median of all.
    assert list(found) == ["best fit", "median fit", "worst fit", "lesion", "spleen"]
    assert (found["lesion"], found["spleen"]) == ((1, 0), (2, 2))


def test_ties_are_decided_by_place():
    assert example_voxels(result(np.ones(9)))["best fit"] == (0, 0)


def test_one_voxel_is_all_three():
    status = np.full(SHAPE, int(FitStatus.OUTSIDE_MASK))
    status[2, 1] = 0
    assert example_voxels(result(np.arange(9), status)) == {"best fit": (2, 1)}


def test_no_voxel():
    status = np.full(SHAPE, int(FitStatus.OUTSIDE_MASK))
    labels = ik.Labels(np.ones(SHAPE, int))
    assert example_voxels(result(np.ones(9), status), labels) == {}


def test_no_map_of_residuals():
    maps = {"S0": np.ones(SHAPE), "ADC": np.ones(SHAPE)}
    with pytest.raises(OptionError, match="no map rmse; expected S0 and rmse"):
        example_voxels(made_result(maps, model="monoexp"))


def test_labels_of_another_scan():
    with pytest.raises(ShapeError, match=r"shape \(2, 2\); expected \(3, 3\)"):
        example_voxels(result(np.ones(9)), ik.Labels(np.ones((2, 2), int)))
