"""The package `ivim` (ivim-mri on PyPI), whose times include reading and writing files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.contender import Answer, Contender, Fit

_INSTALL = (
    "python3 -m venv build/contenders/ivim-mri && "
    "build/contenders/ivim-mri/bin/pip install ivim-mri"
)
_WHY = "a separate environment, because it requires NumPy 1; times include NIfTI input and output"
# Only in `nlls`, its D* is added to the diffusion of blood, ivim.constants.Db.
_BLOOD = 1.75e-3


def _maker(method: str) -> Callable[..., Fit]:
    def make(bvals: NDArray[np.float64]) -> Fit:
        import nibabel
        from ivim import fit as methods

        function = getattr(methods, method)

        def fit(signal: NDArray[np.float64]) -> Answer:
            with TemporaryDirectory(prefix="ivim-mri-") as name:
                folder = Path(name)
                image = signal.astype(np.float32).reshape(-1, 1, 1, bvals.size)
                nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), folder / "dwi.nii.gz")
                np.savetxt(folder / "dwi.bval", bvals[None], fmt="%g")
                with np.errstate(all="ignore"):
                    function(
                        str(folder / "dwi.nii.gz"),
                        str(folder / "dwi.bval"),
                        "diffusive",
                        outbase=str(folder / "map"),
                    )
                maps = [
                    nibabel.load(folder / f"map_{name}.nii.gz").get_fdata().ravel()
                    for name in ("S0", "f", "Dstar", "D")
                ]
            return Answer(np.stack(maps, axis=1))

        return fit

    return make


CONTENDERS = (
    Contender(
        name="ivim-mri-nlls",
        label="ivim-mri nlls",
        package="ivim-mri",
        module="ivim",
        install=_INSTALL,
        convention="plus_Db",
        bounds={"f": (0.0, 1.0), "D_star": (_BLOOD, 1.0 + _BLOOD), "D": (0.0, 3e-3)},
        pace=300,
        make=_maker("nlls"),
        note=_WHY,
    ),
    Contender(
        name="ivim-mri-seg",
        label="ivim-mri seg",
        package="ivim-mri",
        module="ivim",
        install=_INSTALL,
        convention="whole",
        bounds={"f": (0.0, 1.0), "D_star": (3e-3, 0.1), "D": (0.0, 3e-3)},
        pace=40_000,
        make=_maker("seg"),
        note=_WHY,
    ),
)
