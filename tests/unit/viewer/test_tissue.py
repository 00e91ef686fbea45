"""Where the page begins: at the voxels with a fit."""

import numpy as np

import ivimkit as ik
from ivimkit.viewer.study import Study
from ivimkit.viewer.tissue import Tissue


def test_it_is_in_the_fullest_slice_and_inside_the_mask(made):
    # A ring, whose middle is not in it, and a single voxel in another slice.
    mask = np.zeros(made.dwi.shape, bool)
    mask[4:11, 5:12, 1] = True
    mask[6:9, 7:10, 1] = False
    mask[2, 5, 0] = True
    study = Study.of([ik.fit(made.dwi.with_mask(mask), model="monoexp")])
    tissue = Tissue.of(study)
    assert (tissue.low, tissue.high) == ((2, 5, 0), (10, 11, 1))
    assert mask[tissue.start]
    assert tissue.start[2] == 1
    assert np.abs(np.subtract(tissue.start[:2], (7, 8))).max() <= 2
