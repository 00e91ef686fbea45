"""Alignment: what is left of known motion, and what that does to D and f."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from ivimkit.simulate import B13, Artefacts, Motion, Phantom, phantom, residual_motion
from ivimkit.steps._resampling import matrix_positions, read_at

Array = NDArray[np.float64]

_SHAPE = (96, 62, 16)
_SNR, _LOW_SNR = 25, 8
_CASES = (
    ("none", 0.0, "rigid"),
    ("rigid", 5.0, "rigid"),
    ("affine", 5.0, "affine"),
    ("breathing", 5.0, "rigid"),
    ("breathing", 7.0, "rigid"),
)
_LOST_MM = 3.0
_PURE = 0.999


def measure(settings: Settings) -> Findings:
    """Align phantoms of known motion."""
    n_seeds = 3 if settings.full else 1
    rows: list[list[Cell]] = []
    left: dict[str, float] = {}
    errors: dict[str, float] = {}
    for kind, mm, transform in _CASES:
        found = np.mean([_case(kind, mm, transform, seed) for seed in range(n_seeds)], axis=0)
        rows.append([f"{kind}, {mm:g} mm" if mm else kind, transform, *found.tolist()])
        left[f"{kind} {mm:g}"], errors[f"{kind} {mm:g}"] = float(found[1]), float(found[4])
    low = _at_low_snr(3 if settings.full else 1)
    return Findings(
        conditions={
            "data": f"digital abdomen, {' x '.join(map(str, _SHAPE))} voxels, {len(B13)} volumes, "
            f"SNR {_SNR}, {n_seeds} phantoms per row, rendered where the tissue is (nothing is "
            "interpolated in the making)"
        },
        checked="positions found against those of the phantom; D and f: the positions found in "
        "the noisy scan applied to the same scan without noise, in pure liver.",
        tables=[
            Table(
                "Motion and error before and after",
                [
                    Column("motion"),
                    Column("align"),
                    *(Column(head, "{:.2f}") for head in ("before, mm rms", "after, mm rms")),
                    Column("liver: D before, 10^-3 mm^2/s", "{:.3f}"),
                    Column("f before", "{:.3f}"),
                    Column("D after", "{:.3f}"),
                    Column("f after", "{:.3f}"),
                    Column("CPU s", "{:.1f}"),
                ],
                rows,
            )
        ],
        targets=[
            Target("rigid: at most 0.35 mm rms left", f"{left['rigid 5']:.2f} mm",
                   left["rigid 5"] <= 0.35),
            Target("affine: at most 0.6 mm rms left", f"{left['affine 5']:.2f} mm",
                   left["affine 5"] <= 0.6),
            Target("a still scan: D of the liver changes by at most 0.005e-3 mm^2/s",
                   f"{errors['none 0']:.4f}e-3", errors["none 0"] <= 0.005),
            Target(f"SNR {_LOW_SNR}: no volume is lost ({low.size} volumes, worst one)",
                   f"{low.max():.2f} mm", bool(low.max() < _LOST_MM)),
        ],
        notes=_followed(),
    )  # fmt: skip


def _made(kind: str, mm: float, snr: float | None, seed: int) -> Phantom:
    motion = Motion("rigid" if kind == "none" else kind, mm=mm)
    faults = Artefacts(motion=motion)
    return phantom(shape=_SHAPE, bvals=B13, snr=snr, seed=seed, artefacts=faults)


def _case(kind: str, mm: float, transform: str, seed: int) -> list[float]:
    """Return motion before and after, errors before and after, and the time."""
    noisy, clean = _made(kind, mm, _SNR, seed), _made(kind, mm, None, seed)
    start = time.process_time()
    found = ik.preprocess(noisy.dwi, ik.steps.Align(transform))
    seconds = time.process_time() - start
    matrices = np.array(found.records[0].numbers["transforms"])
    still = np.tile(np.eye(4), (len(B13), 1, 1))
    before, after = (_clean_errors(clean, one) for one in (still, matrices))
    truth = noisy.artefacts
    assert truth is not None
    residual = (residual_motion(truth, one).rms for one in (still, matrices))
    b, a = residual
    return [b, a, before[0], before[1], after[0], after[1], seconds]


def _clean_errors(clean: Phantom, matrices: Array) -> Sequence[float]:
    """Return the rms errors of D and f in pure liver, read without noise from some positions."""
    truth, dwi = clean.artefacts, clean.dwi
    assert truth is not None
    signal = np.stack(
        [
            read_at(np.asarray(dwi.signal[..., k]), matrix_positions(dwi.shape, one, dwi.affine))
            for k, one in enumerate(matrices)
        ],
        axis=-1,
    )
    frame = residual_motion(truth, matrices, mask=np.ones(dwi.shape)).frame
    index = np.moveaxis(frame - dwi.affine[:3, 3], -1, 0)
    index /= np.diagonal(dwi.affine)[:3, None, None, None]
    liver = clean.region("liver")
    pure = ndimage.map_coordinates(liver.astype(np.float32), index, order=1) > _PURE
    pure &= np.isfinite(signal).all(axis=-1)
    # Tissue that some volume has not seen completely.
    pure[..., :2] = pure[..., -2:] = False
    result = ik.fit(signal, B13, mask=pure)
    return [
        factor * float(np.sqrt(np.nanmean((result.maps[n][pure] - clean.truth[n][liver][0]) ** 2)))
        for n, factor in (("D", 1e3), ("f", 1.0))
    ]


def _at_low_snr(n_seeds: int) -> Array:
    """Return the motion that is left in each moving volume at low SNR, mm rms."""
    found = []
    for seed in range(n_seeds):
        made = _made("rigid", 5.0, _LOW_SNR, seed)
        assert made.artefacts is not None
        motion = ik.steps.estimate_motion(made.dwi)
        found.append(residual_motion(made.artefacts, motion.transforms).by_volume[1:])
    return np.concatenate(found)


def _followed() -> Sequence[str]:
    """Describe what step follow changes in the medians, by the amount of breathing."""
    texts = []
    for mm in (0.0, 7.0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = ik.preprocess(_made("breathing", mm, _SNR, 0).dwi, "align,follow")
        texts.append(f"Breathing of {mm:g} mm, step follow: {made.records[1].summary}.")
    return texts


FIGURE = Figure(
    order=41,
    name="alignment",
    title="Motion: what is left after alignment, and what that does to the maps",
    measure=measure,
    full_takes="about ten minutes (three phantoms per row)",
)

if __name__ == "__main__":
    run_alone(FIGURE)
