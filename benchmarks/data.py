"""The data sets: simulated voxels with known truth, and real scans if available.

Plain NumPy on purpose: nothing here comes from the package under test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.image import read_image
from benchmarks.machine import REPOSITORY

__all__ = [
    "ABDOMEN",
    "B13",
    "B21",
    "DICOM",
    "MOST_F",
    "ORGANS",
    "ORGAN_SPREADS",
    "PROSTATE",
    "PROTOCOLS",
    "RANGES",
    "S0",
    "SNRS",
    "DataSet",
    "abdomen_scan",
    "all_simulated",
    "organ_mixture",
    "prostate",
    "simulated",
    "two_pool_signal",
]

B21 = np.array([*range(0, 41, 10), *range(60, 201, 20), *range(300, 1001, 100)], dtype=np.float64)
B13 = np.array([0, 10, 20, 40, 80, 110, 140, 170, 200, 300, 400, 600, 800], dtype=np.float64)
SNRS = (20, 50, 100)
DICOM = REPOSITORY.parent / "shared" / "data" / "dicom"
PROSTATE = REPOSITORY.parent / "shared" / "data" / "prostate"
ABDOMEN = REPOSITORY.parent / "shared" / "data" / "abdomen" / "volunteer1"

PROTOCOLS = {"b21": B21, "b13": B13}
S0 = 1000.0
RANGES = {"f": (0.03, 0.4), "D_star": (8e-3, 80e-3), "D": (0.5e-3, 2.5e-3)}
"""Ranges of the uniform true values."""

ORGANS = (
    (0.28, 70e-3, 1.10e-3),
    (0.15, 25e-3, 2.00e-3),
    (0.20, 20e-3, 1.25e-3),
    (0.10, 30e-3, 1.45e-3),
)
"""Means of f, D* and D (mm^2/s) of liver, kidney, pancreas and muscle in the mixture."""
ORGAN_SPREADS = (0.25, 0.35, 0.12)
"""Standard deviations of the logarithms of f, D* and D inside an organ."""
MOST_F = 0.9
"""Largest f of the mixture."""

_VOXELS = 20_000
_SEED = 1988  # The year of Le Bihan's paper.
_MIXTURE_SEED = 9


@dataclass(frozen=True)
class DataSet:
    """Signals to fit.

    Parameters
    ----------
    name : str
        Name for tables.
    bvals : ndarray, shape (n_b,)
        b-values in s/mm^2.
    signal : ndarray, shape (n_voxels, n_b)
        Noisy signal, a.u.
    truth : dict of str to ndarray, shape (n_voxels,)
        True S0, f, D_star and D (mm^2/s); empty for a real scan.
    """

    name: str
    bvals: NDArray[np.float64]
    signal: NDArray[np.float64] = field(repr=False)
    truth: dict[str, NDArray[np.float64]] = field(repr=False, default_factory=dict)

    def first(self, n: int) -> DataSet:
        """Return the first `n` voxels."""
        truth = {name: values[:n] for name, values in self.truth.items()}
        return DataSet(self.name, self.bvals, self.signal[:n], truth)


def two_pool_signal(
    bvals: NDArray[np.float64],
    S0: NDArray[np.float64],
    f: NDArray[np.float64],
    D_star: NDArray[np.float64],
    D: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return S0 [f exp(-b D*) + (1-f) exp(-b D)], shape (n_voxels, n_b)."""
    blood = f[:, None] * np.exp(-bvals * D_star[:, None])
    tissue = (1.0 - f[:, None]) * np.exp(-bvals * D[:, None])
    return np.asarray(S0[:, None] * (blood + tissue))


def simulated(protocol: str, snr: float, n: int = _VOXELS) -> DataSet:
    """Return `n` voxels of a simulated set; fewer are the first ones of the whole set.

    Parameters
    ----------
    protocol : {"b21", "b13"}
        The b-values.
    snr : float
        S0 divided by the standard deviation of the Rician noise.
    n : int
        Number of voxels.

    Returns
    -------
    DataSet
    """
    if protocol not in PROTOCOLS:
        raise ValueError(
            f"there is no protocol {protocol!r}; expected one of {', '.join(PROTOCOLS)}"
        )
    bvals = PROTOCOLS[protocol]
    whole = max(n, _VOXELS)
    uniform = np.random.default_rng([_SEED, 0]).uniform(size=(whole, 3))
    truth = {
        "S0": np.full(whole, S0),
        "f": 0.03 + 0.37 * uniform[:, 0],
        "D_star": 8e-3 + 72e-3 * uniform[:, 1],
        "D": 0.5e-3 + 2e-3 * uniform[:, 2],
    }
    # One stream per set: the noise of two sets is independent.
    noise = np.random.default_rng([_SEED, bvals.size, int(snr)])
    drawn = noise.standard_normal((whole, bvals.size, 2)) * (S0 / snr)
    signal = np.hypot(two_pool_signal(bvals, **truth) + drawn[..., 0], drawn[..., 1])
    return DataSet(f"{protocol} SNR {snr:g}", bvals, signal, truth).first(n)


def all_simulated(n: int = _VOXELS) -> list[DataSet]:
    """Return the six simulated sets."""
    return [simulated(protocol, snr, n) for protocol in PROTOCOLS for snr in SNRS]


def organ_mixture(protocol: str, snr: float, n: int = _VOXELS) -> DataSet:
    """Return voxels of four organs in equal shares, with log-normal spreads, Rician noise."""
    bvals = PROTOCOLS[protocol]
    random = np.random.default_rng([_MIXTURE_SEED, bvals.size, int(snr)])
    centre = np.array(ORGANS)[random.integers(len(ORGANS), size=n)]
    drawn = centre * np.exp(np.array(ORGAN_SPREADS) * random.standard_normal((n, 3)))
    truth = {
        "S0": np.full(n, S0),
        "f": np.minimum(drawn[:, 0], MOST_F),
        "D_star": drawn[:, 1],
        "D": drawn[:, 2],
    }
    noise = random.standard_normal((n, bvals.size, 2)) * (S0 / snr)
    signal = np.hypot(two_pool_signal(bvals, **truth) + noise[..., 0], noise[..., 1])
    return DataSet(f"organs, {protocol} SNR {snr:g}", bvals, signal, truth)


def prostate(n: int, folder: Path = PROSTATE) -> DataSet | None:
    """Return `n` voxels of the prostate scan, b <= 1000 s/mm^2; None if it is not available.

    The voxels of the three regions of interest come first, then random others of the body.
    """
    if not (folder / "dwi.nii.gz").exists():
        return None
    bvals = np.loadtxt(folder / "dwi.bval")
    signal = read_image(folder / "dwi.nii.gz").astype(np.float64).reshape(-1, bvals.size)
    regions = np.zeros(signal.shape[0], dtype=bool)
    for path in sorted(folder.glob("roi_*.nii.gz")):
        regions |= read_image(path).ravel() > 0
    body = (signal[:, bvals == 0].mean(axis=1) > 100.0) & ~regions
    shuffle = np.random.default_rng(_SEED).permutation
    chosen = np.concatenate([shuffle(np.flatnonzero(part)) for part in (regions, body)])[:n]
    low = bvals <= 1000.0
    return DataSet("prostate", bvals[low], np.ascontiguousarray(signal[chosen][:, low]))


def abdomen_scan(n: int, folder: Path = ABDOMEN) -> DataSet | None:
    """Return `n` voxels of a healthy abdomen, nine b-values; None if it is not available.

    Bipolar gradients, diffusion time 70 ms, and the images at b = 0; the directions of a b-value
    are averaged. Voxels of the mask in random order.
    """
    if not (folder / "dwi.nii.gz").exists():
        return None
    bvals = np.loadtxt(folder / "dwi.bval")
    told = json.loads((folder / "dwi.json").read_text())
    profile, time_ms = (np.array(told[key]) for key in ("GradientProfile", "DiffusionTime_ms"))
    used = (bvals == 0.0) | ((profile == "bipolar") & (time_ms == 70))
    volumes = read_image(folder / "dwi.nii.gz").astype(np.float64)
    inside = np.flatnonzero(read_image(folder / "mask.nii.gz").ravel() > 0)
    chosen = np.random.default_rng(_SEED).permutation(inside)[:n]
    signal = volumes.reshape(-1, bvals.size)[chosen]
    shells = np.unique(bvals[used])
    means = [signal[:, used & (bvals == b)].mean(axis=1) for b in shells]
    return DataSet("abdomen scan", shells, np.stack(means, axis=1))
