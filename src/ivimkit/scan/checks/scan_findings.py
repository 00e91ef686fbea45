"""scan_findings(): a quick check of a scan for what cannot be right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.acquisition import Acquisition, Series
from ivimkit.scan.checks.air import air_finding
from ivimkit.scan.checks.finding import ScanFinding
from ivimkit.scan.checks.odd_volumes import copies, no_image, not_diffusion, not_diffusion_finding
from ivimkit.scan.checks.volume_names import names_finding
from ivimkit.scan.checks.volume_order import rises
from ivimkit.scan.checks.volume_sample import VolumeSample, read_sample, sampled
from ivimkit.scan.checks.volume_spread import spread_finding
from ivimkit.scan.dwi import DWI
from ivimkit.scan.variables import DIRECTION

__all__ = ["scan_findings"]

_MIN_VOXELS = 8


def scan_findings(dwi: DWI) -> tuple[ScanFinding, ...]:
    """Report what cannot be right about a scan, before any fit.

    Looks at a few thousand voxels of the mask, so it takes milliseconds: volumes that are empty,
    constant, not finite, copies of each other or not diffusion-weighted; a mean signal that rises
    with b; volumes of one b-value that differ by far more than noise; file names in another order
    than the b-values; air, if there is no mask. Effects of noise, pulsation, motion and gradient
    direction are not reported. With fewer than 8 voxels only the file names are checked.

    Parameters
    ----------
    dwi : DWI
        The scan; only voxels in its mask and volumes that are selected, with a weight, count.

    Returns
    -------
    tuple of ScanFinding
        Empty if there is nothing to report. Volumes are numbered as in the file, from 0.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom(shape=(32, 24, 2)).dwi
    >>> ik.quality.scan_findings(dwi)
    ()
    >>> bvals = dwi.acquisition.bvals[::-1]
    >>> found = ik.quality.scan_findings(ik.DWI(dwi.signal, bvals, mask=dwi.mask))
    >>> [finding.kind for finding in found]
    ['order']
    """
    return tuple(_found(_together(_weighted(dwi))))


def _together(dwi: DWI) -> DWI:
    """Return the scan with shells of all directions, as most checks compare volumes of one b."""
    further = dwi.acquisition.variables
    axes = {axis.name for axis in DIRECTION}
    if not axes & further.keys():
        return dwi
    return dwi.with_variables({name: further[name] for name in further if name not in axes})


def _wanted(dwi: DWI) -> NDArray[np.bool_]:
    """Return which volumes were not left out by weights that were given."""
    wanted = np.ones(dwi.acquisition.n_volumes, dtype=bool)
    if dwi.weights is not None:
        wanted &= dwi.weights > 0.0
    if dwi.value_weights is not None:
        wanted &= (dwi.value_weights[dwi.mask] > 0).any(axis=0)
    return wanted


def _weighted(dwi: DWI) -> DWI:
    """Return the scan with those of its volumes that have a weight, or are missing."""
    used = dwi.used_volumes
    if dwi.missing is not None:
        # A volume that is missing everywhere without having been left out is a fault.
        used = used | (dwi.missing[dwi.mask].all(axis=0) & _wanted(dwi))
    if dwi.value_weights is not None:
        dwi = dwi.with_value_weights(None)
    return dwi if used.all() else dwi.select(volumes=np.flatnonzero(used).tolist())


def _found(dwi: DWI) -> Iterator[ScanFinding]:
    names = names_finding(dwi)
    if names is not None:
        yield names
    if dwi.n_voxels < _MIN_VOXELS:
        return
    values = sampled(dwi)
    use, broken = no_image(dwi, values)
    yield from broken
    if use.sum() < 2:
        return
    sample, brightness = read_sample(dwi, values, use)
    if sample.n_voxels >= _MIN_VOXELS:
        yield from copies(sample)
        odd = not_diffusion(sample)
        if odd.any():
            yield not_diffusion_finding(sample, odd)
            sample = sample.without(odd)
        known: set[tuple[str, tuple[int, ...]]] = set()
        for series in dwi.acquisition.series:
            for finding in _of_series(sample, dwi.acquisition, series):
                # Volumes of b = 0 may belong to several series.
                if (finding.kind, finding.volumes) not in known:
                    known.add((finding.kind, finding.volumes))
                    yield finding
    air = air_finding(dwi, brightness)
    if air is not None:
        yield air


def _of_series(
    sample: VolumeSample, acquisition: Acquisition, series: Series
) -> Iterator[ScanFinding]:
    """Yield what is found among volumes that differ in b only: like is compared with like."""
    here = np.isin(acquisition.shell_of_volume[sample.positions], series.members)
    own = sample if here.all() else sample.without(~here)
    if len(own.bvals) < 2:
        return
    directional = acquisition.bvecs is not None
    found = (
        rises(own, acquisition.shell_numbers, directional=directional),
        spread_finding(own, acquisition),
    )
    for finding in found:
        if finding is not None:
            where = f"at {series.text}, " if series.text else ""
            yield replace(finding, text=f"{where}{finding.text}")
