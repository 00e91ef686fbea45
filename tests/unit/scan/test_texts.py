"""What scans, models, phantoms and comparisons say of themselves: short, and with numbers."""

import numpy as np

import ivimkit as ik

MADE = ik.simulate.phantom(shape=(16, 12, 2))


def test_a_scan_says_its_size_and_its_b_values():
    first, second = repr(MADE.dwi).splitlines()
    assert first.startswith("DWI: 16 × 12 × 2 voxels of ")
    assert f"{MADE.dwi.n_voxels} in the mask" in first
    assert "13 volumes, b = 0, 10, 20" in second
    assert "after mask" in repr(ik.preprocess(MADE.dwi, "mask:kind=body").dwi)


def test_settings_that_repeat_are_counted_and_long_lists_are_cut():
    assert "b = 0 × 2, 800 s/mm²" in repr(ik.Acquisition([0, 0, 800]))
    many = repr(ik.Acquisition(np.arange(0, 1000, 25)))
    assert len(many) < 140
    assert many.endswith("350, 24 more, 975 s/mm²")


def test_a_geometry_says_where_it_is():
    assert "voxels of 2 × 2 × 2 mm, the first one at" in repr(ik.Geometry(2 * np.eye(4)))
    assert repr(ik.Geometry(sform_code=0)).endswith("without a position")


def test_a_model_says_its_bounds_and_a_phantom_its_tissues():
    model = ik.models.get("biexp").with_bounds(D=(0, 3e-3))
    assert repr(model).startswith("<SignalModel biexp: ")
    assert "D 0 to 0.003" in repr(model)
    assert "f = 0.1" in repr(model.with_fixed(f=0.1))
    assert "of liver, lesion" in repr(MADE)


def test_a_comparison_says_how_often_each_model_was_chosen():
    comparison = ik.compare(MADE.dwi, models=["monoexp", "sivim"])
    share = (comparison.chosen[comparison.mask] == 1).mean()
    assert f"sivim: chosen in {100 * share:.1f} %" in repr(comparison)
