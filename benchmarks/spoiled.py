"""Spoiled: phantoms with motion and other artefacts, and what is wrong after some steps."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

import ivimkit as ik
from benchmarks.error import ESTIMATED, UNITS
from ivimkit.extend.fit_method import FitMethod
from ivimkit.scan.history import StepRecord

__all__ = ["Corrected", "Errors", "Spoiled", "correct", "errors_in", "resampled", "there"]

_SHAPE = (96, 62, 16)
_PARTS = 2
_END_SLICES = 3
"""Slices at each end that are not judged: their tissue leaves the image."""


@dataclass(frozen=True, eq=False)
class Spoiled:
    """A phantom with artefacts, with noise and without.

    Parameters
    ----------
    snr : float
        S0 of the liver by the noise of one volume.
    bvals : sequence of float
        b-values of the volumes, s/mm^2.
    artefacts : Artefacts
        What goes wrong.
    seed : int
        Of noise, motion and drop-outs.
    kind : str
        Abdomen or brain.
    rough : bool
        Whether parameters vary inside tissues as they do by default.
    lesions : sequence of float
        Radii of small lesions, mm.
    texture : Texture, optional
        How else they vary.
    """

    snr: float
    bvals: Sequence[float]
    artefacts: ik.simulate.Artefacts
    seed: int = 0
    kind: str = "abdomen"
    rough: bool = False
    lesions: Sequence[float] = ()
    texture: ik.simulate.Texture | None = None

    def made(self, *, noisy: bool = True) -> ik.simulate.Phantom:
        """Return the phantom."""
        return ik.simulate.phantom(
            self.kind,
            shape=_SHAPE,
            bvals=self.bvals,
            snr=self.snr if noisy else None,
            seed=self.seed,
            partial_volume=_PARTS,
            texture=ik.simulate.Texture() if self.rough else self.texture,
            lesions=self.lesions,
            artefacts=self.artefacts,
        )


@dataclass(frozen=True, eq=False)
class Corrected:
    """A scan after some steps.

    Parameters
    ----------
    dwi : DWI
        The scan.
    records : sequence of StepRecord
        What the steps did.
    seconds : float
        Time of all cores together.
    """

    dwi: ik.DWI
    records: Sequence[StepRecord]
    seconds: float
    displacements: NDArray[np.float32] | None = None

    def numbers(self, step: str) -> Mapping[str, object]:
        """Return what a step has found."""
        return next(record.numbers for record in self.records if record.name == step)


@dataclass(frozen=True)
class Errors:
    """Root mean square errors and mean errors of D, f and D*, in the units of tables."""

    rmse: tuple[float, ...]
    bias: tuple[float, ...]


def there(steps: str) -> bool:
    """Return whether all steps of a list exist."""
    known = ik.steps.names()
    return all(word.split(":")[0] in known for word in steps.split(",") if word)


def correct(dwi: ik.DWI, steps: str) -> Corrected:
    """Apply steps to a scan, without its mask; none if the list is empty."""
    start = time.process_time()
    if not steps:
        return Corrected(dwi, (), 0.0)
    done = ik.preprocess(dwi.with_mask(None), steps)
    seconds = time.process_time() - start
    return Corrected(done.dwi, done.records, seconds, done.displacements)


def resampled(made: ik.simulate.Phantom, found: NDArray[np.float64]) -> ik.DWI:
    """Return a phantom read where a registration says, by cubic splines."""
    truth = made.artefacts
    assert truth is not None
    places = truth.positions()
    size, first = np.diagonal(truth.affine)[:3], truth.affine[:3, 3]
    signal = np.empty_like(made.dwi.signal)
    for volume, matrix in enumerate(found):
        if matrix.ndim == 4:
            read = places + matrix
        else:
            # One matrix, or one of each slice: the third axis of the positions.
            read = (matrix[..., :3, :3] @ places[..., None])[..., 0] + matrix[..., :3, 3]
        index = np.moveaxis((read - first) / size, -1, 0)
        image = np.asarray(made.dwi.signal[..., volume])
        signal[..., volume] = map_coordinates(image, index, order=3, mode="nearest")
    return made.dwi.with_signal(np.maximum(signal, 0.0))


def judged(made: ik.simulate.Phantom, tissue: str = "liver") -> NDArray[np.bool_]:
    """Return the voxels whose errors count: of one tissue, away from the ends of the slab."""
    inside = made.region(tissue).copy()
    inside[..., :_END_SLICES] = inside[..., -_END_SLICES:] = False
    return inside


def errors_in(
    dwi: ik.DWI, made: ik.simulate.Phantom, method: str | FitMethod = "varpro"
) -> Errors:
    """Fit the liver and compare it with the truth at rest."""
    inside = judged(made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = ik.fit(dwi.with_mask(inside), method=method)
    apart = {n: (result.maps[n] - made.truth[n])[inside] / UNITS[n] for n in ESTIMATED}
    return Errors(
        tuple(float(np.sqrt(np.nanmean(apart[n] ** 2))) for n in ESTIMATED),
        tuple(float(np.nanmean(apart[n])) for n in ESTIMATED),
    )
