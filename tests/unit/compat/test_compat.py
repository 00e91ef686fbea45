import pytest

import ivimkit as ik


def test_modules_are_loaded_when_they_are_used():
    assert ik.compat.dipy.IvimModel is ik.compat.dipy.ivim_model_selector
    assert ik.compat.osipi.OsipiVarPro.result_keys == ["f", "Dp", "D"]
    with pytest.raises(
        AttributeError, match=r"'ivimkit.compat' has no attribute 'fsl'; it has di"
    ):
        _ = ik.compat.fsl


def test_bounds_are_those_of_dipy():
    assert ik.compat.dipy.BOUNDS[1][1] == 0.2
