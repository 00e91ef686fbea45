"""Half split: how well a fit of one half of a real scan's volumes predicts the other half."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

import ivimkit as ik
from benchmarks.data import ABDOMEN, PROSTATE
from benchmarks.image import read_image
from ivimkit.extend.fit_method import FitMethod

__all__ = ["Half", "halves", "prediction_errors"]

Half = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Signals, shape (x, y, z, n_b), and b-values in s/mm^2."""

_MAX_B = 1000.0
_AIR = 100.0
# Voxels around the regions.
_MARGIN = 5


def halves() -> Iterator[tuple[str, NDArray[np.bool_], Half, Half]]:
    """Yield name, mask and both halves of every real scan that is available.

    Of the abdomen each half has every second direction of each b-value and every second image at
    b = 0; of the prostate, with one image per b-value, every second b-value and b = 0.
    """
    for folder in (ABDOMEN, ABDOMEN.parent / "volunteer2"):
        if (folder / "dwi.nii.gz").exists():
            yield _of_abdomen(folder)
    if (PROSTATE / "dwi.nii.gz").exists():
        yield _of_prostate(PROSTATE)


def _of_abdomen(folder: Path) -> tuple[str, NDArray[np.bool_], Half, Half]:
    bvals = np.loadtxt(folder / "dwi.bval")
    told = json.loads((folder / "dwi.json").read_text())
    profile, time_ms = (np.array(told[key]) for key in ("GradientProfile", "DiffusionTime_ms"))
    used = (bvals == 0.0) | ((profile == "bipolar") & (time_ms == 70))
    volumes = read_image(folder / "dwi.nii.gz").astype(np.float64)
    mask = read_image(folder / "mask.nii.gz") > 0
    shells = np.unique(bvals[used])
    found = []
    for half in (0, 1):
        means = [
            volumes[..., np.flatnonzero(used & (bvals == b))[half::2]].mean(axis=-1)
            for b in shells
        ]
        found.append((np.stack(means, axis=-1), shells))
    return f"abdomen, {folder.name}", mask, found[0], found[1]


def _of_prostate(folder: Path) -> tuple[str, NDArray[np.bool_], Half, Half]:
    bvals = np.loadtxt(folder / "dwi.bval")
    volumes = read_image(folder / "dwi.nii.gz").astype(np.float64)
    low = np.flatnonzero(bvals <= _MAX_B)
    first = low[np.argsort(bvals[low], kind="stable")]
    regions = np.zeros(volumes.shape[:3], dtype=bool)
    for path in sorted(folder.glob("roi_*.nii.gz")):
        regions |= read_image(path) > 0
    # A box around the regions, so that neighbours are there.
    box = np.zeros_like(regions)
    places = np.nonzero(regions)
    rows, columns = (slice(p.min() - _MARGIN, p.max() + _MARGIN + 1) for p in places[:2])
    box[rows, columns] = True
    mask = box & (volumes[..., bvals == 0].mean(axis=-1) > _AIR)
    zero = first[:1]
    one, two = np.concatenate([zero, first[1::2]]), np.concatenate([zero, first[2::2]])
    return "prostate", mask, (volumes[..., one], bvals[one]), (volumes[..., two], bvals[two])


def prediction_errors(
    method: FitMethod, mask: NDArray[np.bool_], first: Half, second: Half
) -> NDArray[np.float64]:
    """Return the error of each voxel, %: how well either half predicts the other.

    It is the root mean square over the b-values, relative to the signal at b = 0. b = 0 itself is
    left out, which both halves of the prostate share. NaN where a fit failed.
    """
    both = [_errors(method, mask, *pair) for pair in ((first, second), (second, first))]
    squares = [np.mean(errors**2, axis=1) for errors in both]
    return 100.0 * np.sqrt(0.5 * (squares[0] + squares[1]))


def _errors(
    method: FitMethod, mask: NDArray[np.bool_], fitted: Half, other: Half
) -> NDArray[np.float64]:
    """Return what a fit of one half predicts less what the other is, relative to b = 0."""
    signals, bvals = fitted
    result = ik.fit(signals, bvals, mask=mask, method=method)
    measured, later = other
    predicted = result.predict(later)[mask]
    if "sigma" in result.maps:
        # These fits take the noise floor off, and the other half has it.
        predicted = _with_floor(predicted, result.maps["sigma"][mask][:, np.newaxis])
    level = measured[mask][:, later == 0.0].mean(axis=1, keepdims=True)
    errors: NDArray[np.float64] = ((predicted - measured[mask]) / level)[:, later > 0.0]
    return errors


def _with_floor(signal: NDArray[np.float64], sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of the magnitude of a signal with noise in both channels."""
    z = 0.25 * (signal / sigma) ** 2
    mean = np.sqrt(0.5 * np.pi) * ((1.0 + 2.0 * z) * ive(0, z) + 2.0 * z * ive(1, z))
    return np.asarray(sigma * mean)
