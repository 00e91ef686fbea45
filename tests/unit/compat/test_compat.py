import subprocess
import sys

import pytest

import ivimkit as ik

UNWANTED = ("dipy", "matplotlib", "nibabel", "pandas")


def test_modules_are_loaded_when_they_are_used():
    assert ik.compat.dipy.IvimModel is ik.compat.dipy.ivim_model_selector
    assert ik.compat.osipi.OsipiVarPro.result_keys == ["f", "Dp", "D"]
    with pytest.raises(
        AttributeError, match=r"'ivimkit.compat' has no attribute 'fsl'; it has di"
    ):
        _ = ik.compat.fsl


def test_other_packages_are_not_needed():
    code = (
        "import sys\n"
        f"for name in {UNWANTED}: sys.modules[name] = None\n"
        "import ivimkit as ik\n"
        "fit = ik.compat.osipi.OsipiVarPro([0, 10, 20, 50, 100, 200, 400, 800])\n"
        "assert ik.compat.dipy.BOUNDS[1][1] == 0.2\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
