"""The checks of a scan, each a mark and a sentence, for ``ivimkit check``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ivimkit.cli.screen.option_words import for_command_line
from ivimkit.errors import InputError
from ivimkit.extend.b_value_advice import coverage_needed, n_distinct_settings, settings_of
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.identifiability import unknown_to
from ivimkit.noise import ShellSignal
from ivimkit.rounding import percent, thousands
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.checks import ScanFinding
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry

__all__ = ["check_findings", "scan_facts"]

_MIN_DIFFERENCE_VOXELS = 0.1


def scan_facts(dwi: DWI) -> Iterator[str]:
    """Describe the scan."""
    shape = " x ".join(map(str, dwi.shape))
    size = " x ".join(f"{edge:.3g}" for edge in dwi.geometry.voxel_size)
    total = dwi.mask.size
    yield (f"{shape} voxels of {size} mm, {dwi.acquisition.n_volumes} volumes, {dwi.stored.dtype}")
    further = ", ".join(dwi.acquisition.variables)
    roles = {"bvals": "b", "bvecs": "directions", "variables": further, "sidecar": further}
    read = [(roles[s.role], s.path) for s in dwi.sources if s.role in roles]
    if read:
        yield ", ".join(f"{what} from {path}" for what, path in read)
    if dwi.acquisition.bvecs is not None:
        yield "directions are taken as unit vectors: their lengths do not count"
    if dwi.n_voxels == total:
        inside = thousands(total)
        yield f"no mask: all {inside} voxels, air included (--mask auto finds the tissue)"
    else:
        share = dwi.n_voxels / total
        yield f"mask: {thousands(dwi.n_voxels)} of {thousands(total)} voxels ({percent(share)})"
        if dwi.mask_origin:
            yield f"mask found by {dwi.mask_origin}"


def check_findings(
    dwi: DWI,
    signals: Sequence[ShellSignal],
    model: SignalModel,
    error: InputError | None,
    odd: Sequence[ScanFinding],
) -> Iterator[tuple[str, str, str]]:
    """Yield a mark, its style and a sentence for each check."""
    acquisition = dwi.acquisition
    b = acquisition.bvals
    faults = [finding for finding in odd if finding.is_fault]
    # No check of the b-values can pass if they cannot belong to the volumes.
    ok = _plain if faults else _ok
    yield ok(f"{b.size} b-values for {b.size} volumes, {b.min():g} to {b.max():g} s/mm²")
    yield from _position(dwi)
    yield from _finite(dwi, signals, faults)
    for finding in odd:
        if not finding.is_hopeless:
            yield _warning(for_command_line(str(finding)))
    if not faults:
        yield _ok("volumes and b-values belong together, judging by the signal")
    if error is not None:
        yield "error", "bold red", str(error)
    else:
        yield ok(
            f"{n_distinct_settings(model, acquisition)} distinct {settings_of(model)} for the "
            f"{model.n_free} free parameters of {model.name}"
        )
    found = model.advice(acquisition)
    yield from map(_warning, found)
    left_out = unknown_to(model, acquisition)
    if left_out is not None:
        yield _warning(left_out)
    if not found and not faults:
        poor = _not_covered(acquisition, model)
        yield _ok(
            f"the choice of b-values is sound for {model.name}"
            + (f", but for {' and '.join(poor)}: see the coverage below" if poor else "")
        )


def _finite(
    dwi: DWI, signals: Sequence[ShellSignal], faults: Sequence[ScanFinding]
) -> Iterator[tuple[str, str, str]]:
    """Report values that are not there."""
    broken = dwi.n_voxels - max(signal.n_finite for signal in signals)
    known = any(finding.kind == "not finite" for finding in faults)
    missing = 0 if dwi.missing is None else int(np.count_nonzero(dwi.missing[dwi.mask]))
    if broken and not known:
        yield _warning(
            f"{thousands(broken)} voxels have a NaN or infinite signal in all volumes and will "
            "not be fitted; look for the failed processing step"
        )
    if missing and not known:
        yield _warning(
            f"{percent(missing / (dwi.n_voxels * len(dwi.volumes)))} of the values are NaN or "
            "infinite: they are missing, and fits do without them"
        )
    elif not broken and not missing:
        yield _ok("the signal is finite everywhere in the mask")


def _not_covered(acquisition: Acquisition, model: SignalModel) -> list[str]:
    """Name the ranges of b-values that the model needs and in which there are none."""
    needed = coverage_needed(model, acquisition)
    return [
        f"b = {part.low:g}" if part.low == part.high else f"b = {part.low:g}-{part.high:g}"
        for part in needed
        if part.grade == "missing"
    ]


def _position(dwi: DWI) -> Iterator[tuple[str, str, str]]:
    """Report the position of the scan, where it is ambiguous."""
    geometry = dwi.geometry
    if not geometry.placed:
        yield _warning(
            "the scan does not say where its voxels are: masks, labels and maps are used voxel "
            "by voxel"
        )
        return
    if geometry.other_affine is None:
        return
    apart = float(np.abs(geometry.shifts(Geometry(geometry.other_affine), dwi.shape)).max())
    if apart > _MIN_DIFFERENCE_VOXELS * min(geometry.voxel_size):
        yield _warning(
            f"sform and qform of the scan differ by up to {apart:.2g} mm: the sform counts. "
            "Masks, labels and maps that lie where the qform says are recognised if they have "
            "all voxels of the scan"
        )


def _ok(text: str) -> tuple[str, str, str]:
    return "ok", "green", text


def _plain(text: str) -> tuple[str, str, str]:
    return "", "", text


def _warning(text: str) -> tuple[str, str, str]:
    return "warning", "yellow", text
