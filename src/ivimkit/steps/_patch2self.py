"""Patch2Self: noise removed by predicting each volume from the others."""

from __future__ import annotations

import warnings
from importlib import import_module
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError
from ivimkit.scan.dwi import DWI

__all__ = ["MIN_DIRECTIONS", "PACKAGE", "REFERENCES", "check_patch2self", "predicted_volumes"]

MIN_DIRECTIONS = 10
"""Directions per shell from which on Patch2Self can predict a volume by the others."""

PACKAGE = "scikit-learn"
"""What DIPY needs for it."""

REFERENCES = (
    "Fadnavis S, Batson J, Garyfallidis E. Adv Neural Inf Process Syst 2020;33:16293-16303. "
    "doi:10.48550/arXiv.2011.01355",
    "Garyfallidis E et al. Front Neuroinform 2014;8:8. doi:10.3389/fninf.2014.00008",
)

# b-values in s/mm^2 up to which volumes need no direction.
_MAX_B_WITHOUT_DIRECTION = 50.0
# The regression has 0.3 equations per voxel, and one unknown per volume.
_MIN_VOXELS_PER_VOLUME = 10
_SEED = 7_331


def check_patch2self(dwi: DWI) -> None:
    """Check that a scan can be denoised by Patch2Self.

    Parameters
    ----------
    dwi : DWI
        The scan.

    Raises
    ------
    InputError
        If it has too few directions or voxels, or scikit-learn cannot be loaded.
    """
    acquisition = dwi.acquisition
    for shell in acquisition.shells:
        if shell.b <= _MAX_B_WITHOUT_DIRECTION:
            continue
        n = 0 if acquisition.bvecs is None else len(acquisition.directions(shell.volumes))
        if n < MIN_DIRECTIONS:
            raise InputError(
                f"shell b = {shell.b:g} has {n} known directions; expected {MIN_DIRECTIONS} or "
                "more for Patch2Self, which predicts each volume from similar ones: with one "
                "volume per b it makes errors larger. Use method mppca"
            )
    n_voxels, n_volumes = int(np.prod(dwi.shape)), acquisition.n_volumes
    if n_voxels < _MIN_VOXELS_PER_VOLUME * n_volumes:
        raise InputError(
            f"the scan has {n_voxels} voxels and {n_volumes} volumes; expected "
            f"{_MIN_VOXELS_PER_VOLUME} voxels or more per volume for Patch2Self, which learns "
            "from them how volumes follow from each other. Use method mppca"
        )
    try:
        # Loaded here, not only searched for: DIPY hides why it could not be.
        import_module("sklearn.linear_model")
    except ImportError as error:
        raise InputError(
            f"{PACKAGE} cannot be loaded, which DIPY needs for Patch2Self ({error}); expected it. "
            f"Install it with pip install {PACKAGE}, or use method mppca"
        ) from None


def predicted_volumes(signal: NDArray[np.float64], dwi: DWI) -> NDArray[np.float64]:
    """Predict each volume from the others.

    DIPY's third version: the first one predicts from numbers that its regression has overwritten,
    which took half of the signal of a phantom away. The third draws at random from NumPy's
    global generator, and leaves its temporary files behind when it is interrupted: so the
    generator is seeded and put back, and the files have a folder that goes away.

    Parameters
    ----------
    signal : ndarray, shape (x, y, z, n_volumes)
        Without gaps, a.u.
    dwi : DWI
        Its acquisition.

    Returns
    -------
    ndarray, shape (x, y, z, n_volumes)
    """
    from dipy.denoise.patch2self import patch2self  # Slow to load, and an extra.

    state = np.random.get_state()  # noqa: NPY002, the generator that DIPY takes
    try:
        np.random.seed(_SEED)  # noqa: NPY002
        with TemporaryDirectory(prefix="ivimkit-") as folder, warnings.catch_warnings():
            # Volumes without noise follow from each other exactly: a singular matrix, which is
            # solved all the same.
            warnings.simplefilter("ignore")
            found = patch2self(
                signal,
                dwi.acquisition.bvals,
                b0_threshold=_MAX_B_WITHOUT_DIRECTION,
                shift_intensity=False,
                verbose=False,
                version=3,
                tmp_dir=folder,
            )
    finally:
        np.random.set_state(state)  # noqa: NPY002
    # Only magnitudes have no negative values.
    floor = min(float(signal.min()), 0.0)
    return np.maximum(np.asarray(found, dtype=np.float64).reshape(signal.shape), floor)
