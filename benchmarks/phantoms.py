"""Phantoms: the voxels of the digital phantoms filled by one perfused tissue."""

from __future__ import annotations

import numpy as np

import ivimkit as ik
from benchmarks.data import DataSet

__all__ = ["SNR", "phantom_set"]

SNR = 40.0

_SEED = 5


def phantom_set(kind: str, n: int) -> DataSet:
    """Return up to `n` voxels of a phantom in random order, with Rician noise.

    Parameters
    ----------
    kind : {"abdomen", "brain"}
        The phantom, with the default shape and b-values of `ivimkit.simulate.phantom`.
    n : int
        Number of voxels.

    Returns
    -------
    DataSet
    """
    made = ik.simulate.phantom(kind, snr=SNR, seed=_SEED)
    # f and D* in a partial-volume voxel, and D* without perfusion, are not defined.
    known = np.flatnonzero(np.nan_to_num(made.truth["f"].ravel()) > 0.0)
    chosen = np.random.default_rng(_SEED).permutation(known)[:n]
    bvals = np.array(made.dwi.acquisition.bvals)
    signal = made.dwi.signal.reshape(-1, bvals.size)[chosen].astype(np.float64)
    truth = {name: values.ravel()[chosen].astype(float) for name, values in made.truth.items()}
    return DataSet(f"digital {kind}", bvals, signal, truth)
