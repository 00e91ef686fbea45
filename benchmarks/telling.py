"""Telling of motion: time and error of the estimates that `check` and step align make."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from ivimkit.simulate import B13, Artefacts, Motion, Phantom, phantom, residual_motion

_SHAPE, _SNR, _MM = (112, 84, 30), 25, 5.0
_MAX_ERROR_MM, _MAX_SECONDS, _CORES = 0.3, 0.2, 2


def measure(settings: Settings) -> Findings:
    """Estimate the motion of a phantom quickly and to the end, and again after alignment."""
    moving = Artefacts(motion=Motion("rigid", mm=_MM))
    made = phantom(shape=_SHAPE, bvals=B13, snr=_SNR, artefacts=moving)
    expected = _true_shifts(made)
    rows: list[list[Cell]] = []
    for name, quick in (("to the end (step align)", False), ("quick (ivimkit check)", True)):
        wall, cpu = time.perf_counter(), time.process_time()
        found = ik.steps.estimate_motion(made.dwi, quick=quick)
        seconds = [(time.perf_counter() - wall) / len(B13), (time.process_time() - cpu) / len(B13)]
        errors = np.abs(found.shift_mm - expected)[1:]
        rows.append([name, *seconds, float(np.sqrt((errors**2).mean())), float(errors.max())])
    again, left = _after(made)
    quick_share, quick_error = float(str(rows[1][2])) / _CORES, float(str(rows[1][3]))
    return Findings(
        conditions={
            "data": f"digital abdomen, {' x '.join(map(str, _SHAPE))} voxels, {len(B13)} volumes, "
            f"SNR {_SNR}, rigid motion of {_MM:g} mm"
        },
        checked="shifts found against those of the phantom, relative to the first volume.",
        tables=[
            Table(
                "Estimates of the shift of each volume",
                [
                    Column("estimate"),
                    Column("wall s per volume", "{:.2f}"),
                    Column("CPU s per volume", "{:.2f}"),
                    Column("error, mm rms", "{:.2f}"),
                    Column("worst, mm", "{:.2f}"),
                ],
                rows,
            )
        ],
        targets=[
            Target(
                f"quick: the shift is right to {_MAX_ERROR_MM} mm rms",
                f"{quick_error:.2f} mm",
                quick_error <= _MAX_ERROR_MM,
            ),
            Target(
                f"quick: under {_MAX_SECONDS} s of each of {_CORES} cores per volume",
                f"{quick_share:.2f} s",
                quick_share < _MAX_SECONDS,
            ),
        ],
        notes=(
            f"After alignment a second, quick registration finds {again:.2f} mm rms, and "
            f"{left:.2f} mm rms are left in truth.",
        ),
    )


def _true_shifts(made: Phantom) -> NDArray[np.float64]:
    """Return the rms displacement of the tissue from where it is in the first volume, mm.

    Tissue is what the estimate takes for it: voxels of the first volume brighter than its mean.
    """
    truth = made.artefacts
    assert truth is not None
    assert truth.transforms is not None
    image = made.dwi.signal[..., 0]
    places = truth.positions()[image > image.mean()]
    whole = np.concatenate([places, np.ones((len(places), 1))], axis=1)
    first = np.linalg.inv(truth.transforms[0])
    moved = [whole @ (matrix @ first - np.eye(4)).T for matrix in truth.transforms]
    return np.array([np.sqrt((one**2).sum(axis=1).mean()) for one in moved])


def _after(made: Phantom) -> tuple[float, float]:
    """Return what is found and what is left after alignment, mm rms over the volumes."""
    numbers = ik.preprocess(made.dwi, "align").records[0].numbers
    assert made.artefacts is not None
    left = residual_motion(made.artefacts, numbers["transforms"]).rms
    return float(np.sqrt(np.square(numbers["shift_after_mm"]).mean())), left


FIGURE = Figure(
    order=41,
    name="telling",
    title="How far the tissue moves: time and error of the estimate",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
