"""Preprocessing: what motion, drift, drop-outs and ringing do, and what the steps leave of it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.error import ESTIMATED
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.spoiled import (
    Corrected,
    Errors,
    Spoiled,
    correct,
    errors_in,
    judged,
    resampled,
    there,
)
from ivimkit.simulate import Artefacts, Drift, Dropouts, Motion, Ringing

_B13 = ik.simulate.B13
_B36 = tuple(3 * [b for b in _B13 if b != 170])
_B16 = (0, 10, 20, 40, 80, 0, 110, 140, 170, 200, 0, 300, 400, 600, 800, 0)
_SNR = 25.0
_GIBBS = "gibbs:partial_fourier=1"
_MM, _BREATH_MM = 5.0, 7.0
_LOST_MM = 3.0
_N_DROPOUTS = 13

_MAX_RIGID_MM, _MAX_AFFINE_MM, _MAX_BREATHING_MM = 0.35, 0.6, 2.2
_MAX_STILL_D, _MAX_BREATHING_D = 0.005, 0.045
_COVERED = (93.0, 97.0)
_MIN_DICE = 0.99
_MAX_SECONDS = 20.0


@dataclass(frozen=True)
class _Moving:
    """One row of the table of motion."""

    label: str
    motion: Motion | None
    steps: str
    snr: float = _SNR
    bvals: tuple[float, ...] = _B13


@dataclass(frozen=True)
class _Moved:
    """What a registration has left; errors only where the first volume is the reference."""

    before: float
    after: float | None
    worst: float | None
    lost: int | None
    seconds: float
    noisy: Errors | None
    clean: Errors | None

    def row(self, case: _Moving) -> list[Cell]:
        errors = [one.rmse if one else (None,) * 3 for one in (self.noisy, self.clean)]
        return [
            case.label, case.steps or "none", case.snr, len(case.bvals), self.before, self.after,
            self.worst, self.lost, *errors[0], *errors[1], self.seconds,
        ]  # fmt: skip


_RIGID, _AFFINE, _BREATHING = (
    Motion("rigid", _MM),
    Motion("affine", _MM),
    Motion("breathing", _BREATH_MM),
)
_SLICES = Motion("slices", _MM)
_CASES = (
    _Moving("still", None, ""),
    _Moving("still", None, "align"),
    _Moving("rigid", _RIGID, ""),
    _Moving("rigid", _RIGID, "align"),
    _Moving("rigid", _RIGID, "align", 25.0, _B36),
    _Moving("rigid", _RIGID, "align", 15.0, _B36),
    _Moving("rigid", _RIGID, "align", 8.0, _B36),
    _Moving("affine", _AFFINE, ""),
    _Moving("affine", _AFFINE, "align"),
    _Moving("affine", _AFFINE, "align:transform=affine"),
    _Moving("slices", _SLICES, ""),
    _Moving("slices", _SLICES, "align:slices=yes"),
    _Moving("breathing", _BREATHING, ""),
    _Moving("breathing", _BREATHING, "align"),
    _Moving("breathing", _BREATHING, "align,follow"),
)


def measure(settings: Settings) -> Findings:
    """Spoil phantoms, apply the steps, and compare with the truth."""
    cases = [case for case in _CASES if there(case.steps)]
    moved = {case: _moved(case) for case in cases}
    tables = [_motion_table(moved)]
    targets = _motion_targets(moved)
    for part in (_coverage, _drift, _dropouts, _masks, _ringing, _contrast, _seconds):
        print(f"preprocessing: {part.__name__[1:]} ...", flush=True)
        table, found = part()
        tables.append(table)
        targets += found
    return Findings(
        conditions={
            "data": "digital abdomen, 96 x 62 x 16 voxels, b13 unless said (36 volumes: twelve "
            f"b-values three times; drift: 16 volumes with four b = 0), SNR {_SNR:g} unless said, "
            f"Rician noise; motion {_MM:g} mm root mean square in the body, breathing "
            f"{_BREATH_MM:g} mm in the liver; errors in voxels of pure liver, without three "
            "slices at each end",
            "bounds": "defaults",
            "told": "nothing about the noise",
        },
        checked="the true displacements, as a registration would give them, leave no residual.",
        tables=tables,
        targets=targets,
        notes=[
            "Residual: root mean square distance between the tissues that the volumes show in one "
            f"voxel, over volumes and body; lost: volumes above {_LOST_MM:g} mm. Clean: the "
            "movements that were found applied to the volumes without noise, so that the error is "
            "that of misalignment and interpolation alone. Noisy errors can lie below those of a "
            "scan without motion, because interpolation averages noise.",
        ],
    )


def _moved(case: _Moving) -> _Moved:
    print(f"preprocessing: {case.label}, {case.steps or 'no step'} ...", flush=True)
    scan = Spoiled(case.snr, case.bvals, Artefacts(case.motion))
    noisy, clean = scan.made(), scan.made(noisy=False)
    truth = noisy.artefacts
    assert truth is not None
    _check_truth(truth)
    done = correct(noisy.dwi, case.steps)
    found = _found(done)
    before = ik.simulate.residual_motion(truth)
    one_reference = case.bvals.count(0) == 1
    noisy_errors = errors_in(done.dwi, noisy) if one_reference else None
    if found is None and done.records:
        # The step does not say where it has read the volumes.
        return _Moved(before.rms, None, None, None, done.seconds, noisy_errors, None)
    after = ik.simulate.residual_motion(truth, found)
    still = clean.dwi if found is None else resampled(clean, found)
    return _Moved(
        before.rms,
        after.rms,
        float(after.by_volume.max()),
        int((after.by_volume > _LOST_MM).sum()),
        done.seconds,
        noisy_errors,
        errors_in(still, noisy) if one_reference else None,
    )


def _check_truth(truth: ik.simulate.TrueArtefacts) -> None:
    fields = [truth.displacement(volume) for volume in range(truth.n_volumes)]
    left = ik.simulate.residual_motion(truth, fields).rms
    if left > 1e-6:
        raise AssertionError(f"the true displacements leave {left:g} mm")


def _found(done: Corrected) -> NDArray[np.float64] | None:
    """Return the movements that the last of the steps has found, if it says so."""
    if done.displacements is not None:
        return done.displacements
    if not done.records or "transforms" not in done.records[-1].numbers:
        return None
    return np.asarray(done.records[-1].numbers["transforms"])


def _motion_table(moved: dict[_Moving, _Moved]) -> Table:
    numbers = [Column(title, form) for title, form in (
        ("SNR", "{:.0f}"), ("volumes", "{:d}"), ("before, mm", "{:.2f}"),
        ("residual, mm", "{:.2f}"), ("worst volume, mm", "{:.2f}"), ("lost", "{:d}"),
    )]  # fmt: skip
    errors = [
        Column(f"{what}: {name}", "{:.3f}" if name != "D*" else "{:.1f}")
        for what in ("noisy", "clean")
        for name in ("D", "f", "D*")
    ]
    return Table(
        "Motion; root mean square errors in the liver, D and D* in 10⁻³ mm²/s",
        [Column("motion"), Column("steps"), *numbers, *errors, Column("CPU s", "{:.1f}")],
        [one.row(case) for case, one in moved.items()],
    )


def _motion_targets(moved: dict[_Moving, _Moved]) -> list[Target]:
    """Compare with the goals; steps that are not there are not measured."""

    def of(label: str, steps: str) -> list[_Moved]:
        return [one for case, one in moved.items() if (case.label, case.steps) == (label, steps)]

    rigid, affine = of("rigid", "align"), of("affine", "align:transform=affine")
    still, breathing = of("still", "align"), of("breathing", "align,follow")
    return [
        _at_most(
            "Rigid residual at SNR 25, 25, 15 and 8 ≤ {:g} mm",
            _MAX_RIGID_MM,
            [m.after for m in rigid],
        ),
        _at_most("Lost volumes of rigid motion, at every SNR: {:g}", 0, [m.lost for m in rigid]),
        _at_most("Affine residual ≤ {:g} mm", _MAX_AFFINE_MM, [m.after for m in affine]),
        _at_most("Breathing residual ≤ {:g} mm", _MAX_BREATHING_MM, [m.after for m in breathing]),
        _at_most("Breathing, clean D of the liver ≤ {:g}", _MAX_BREATHING_D, _clean_D(breathing)),
        _at_most("A still scan, clean D of the liver ≤ {:g}", _MAX_STILL_D, _clean_D(still)),
    ]


def _clean_D(moved: list[_Moved]) -> list[float]:
    return [one.clean.rmse[0] for one in moved if one.clean]


def _at_most(text: str, limit: float, found: Sequence[float | None]) -> Target:
    values = [value for value in found if value is not None]
    measured = ", ".join(f"{value:.3g}" for value in values) or "no figure"
    return Target(
        text.format(limit), measured, all(v <= limit for v in values) if values else None
    )


@dataclass(frozen=True)
class _Judged:
    """One row of the table of coverage."""

    label: str
    motion: Motion | None
    steps: str
    snr: float = _SNR
    seed: int = 0
    texture: str = ""


_TEXTURES = {
    "": None,
    "smooth": ik.simulate.Texture(smooth=1.0),
    "from voxel to voxel": ik.simulate.Texture(),
}
_JUDGED = (
    _Judged("still", None, "", texture="from voxel to voxel"),
    _Judged("still", None, "denoise", texture="from voxel to voxel"),
    _Judged("still", None, "align"),
    _Judged("still", None, "", 15.0, 2),
    _Judged("rigid", _RIGID, "align"),
    _Judged("rigid", _RIGID, "align", seed=1),
    _Judged("rigid", _RIGID, "align", 15.0, 2),
    _Judged("rigid", _RIGID, "align", 40.0, 3),
    _Judged("rigid", _RIGID, "align", texture="smooth"),
    _Judged("rigid", _RIGID, "align", texture="from voxel to voxel"),
    _Judged("affine", _AFFINE, "align:transform=affine"),
    _Judged("slices", _SLICES, "align:slices=yes"),
    _Judged("breathing", _BREATHING, "align,follow"),
)


def _coverage() -> tuple[Table, list[Target]]:
    """Count how often 95 % intervals of bayes contain the truth."""
    rows: list[list[Cell]] = []
    targets: list[Target] = []
    low, high = _COVERED
    shares: dict[_Judged, list[float]] = {}
    for case in _JUDGED:
        if not there(case.steps):
            continue
        made = Spoiled(
            case.snr,
            _B13,
            Artefacts(case.motion),
            seed=case.seed,
            texture=_TEXTURES[case.texture],
        ).made()
        found = shares[case] = _covered(correct(made.dwi, case.steps).dwi, made)
        texture = f"varies: {case.texture}" if case.texture else "constant"
        rows.append([case.label, case.steps or "none", texture, case.snr, case.seed, *found])
    for case, found in shares.items():
        # A mean of neighbours is not the truth of one voxel where each is different.
        if case.steps == "denoise" or (case.label == "rigid" and case.texture in ("", "smooth")):
            text = f"Truth inside 95 % intervals of bayes after {case.steps}"
            if case.steps != "denoise":
                tissue = f"{case.texture} tissue" if case.texture else "constant tissue"
                text += f", SNR {case.snr:g}, seed {case.seed}, {tissue}"
            measured = ", ".join(f"{share:.1f}" for share in found)
            # At a low SNR the flat prior makes intervals of D* too wide, with or without a step.
            still = shares.get(_Judged("still", None, "", case.snr, case.seed))
            above = [max(high, one) for one in still] if still else [high] * len(found)
            if still:
                measured += f" (the still scan: {', '.join(f'{share:.1f}' for share in still)})"
            reached = all(low <= share <= most for share, most in zip(found, above, strict=True))
            targets.append(Target(f"{text}: {low:g} to {high:g} %", measured, reached))
    columns = [
        Column("motion"), Column("steps"), Column("tissue"), Column("SNR", "{:.0f}"),
        Column("seed", "{:d}"), *(Column(n, "{:.1f}") for n in ("D", "f", "D*")),
    ]  # fmt: skip
    return Table("Truth inside 95 % intervals of bayes (flat), %", columns, rows), targets


def _covered(dwi: ik.DWI, made: ik.simulate.Phantom) -> list[float]:
    inside = judged(made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = ik.fit(dwi.with_mask(inside), method=ik.methods.get("bayes", prior="flat"))
    shares = []
    for name in ESTIMATED:
        low, high = (limit[inside] for limit in result.interval[name])
        given = np.isfinite(low) & np.isfinite(high)
        truth = made.truth[name][inside]
        shares.append(100.0 * float(((low <= truth) & (truth <= high))[given].mean()))
    return shares


def _drift() -> tuple[Table, list[Target]]:
    """Measure the bias that drift causes, with four b = 0 through the session."""
    rows: list[list[Cell]] = []
    for kind in (None, *ik.simulate.DRIFT_KINDS):
        made = Spoiled(_SNR, _B16, Artefacts(drift=Drift(5, kind) if kind else None)).made()
        for steps in ("", "drift"):
            if there(steps):
                done = correct(made.dwi, steps)
                bias = errors_in(done.dwi, made).bias
                rows.append([f"{kind} 5 %" if kind else "none", steps or "none", *bias])
    columns = [Column("drift"), Column("steps"), Column("D", "{:+.3f}"), Column("f", "{:+.4f}")]
    return Table("Drift; mean error in the liver", columns, [row[:4] for row in rows]), []


def _dropouts() -> tuple[Table, list[Target]]:
    """Count the drop-outs that are found, and slices that are left out for nothing."""
    made = Spoiled(_SNR, _B13, Artefacts(dropouts=Dropouts(_N_DROPOUTS)), rough=True).made()
    truth = made.artefacts
    assert truth is not None
    rows: list[list[Cell]] = []
    targets: list[Target] = []
    for steps in ("", "outliers"):
        if not there(steps):
            continue
        done = correct(made.dwi, steps)
        left_out = _left_out(done.dwi, truth)
        found, false = (
            int((left_out & truth.dropped).sum()),
            int((left_out & ~truth.dropped).sum()),
        )
        errors = errors_in(done.dwi, made).rmse
        rows.append(
            [steps or "none", int(truth.dropped.sum()), found, false, *errors, done.seconds]
        )
        if steps:
            text = f"All {_N_DROPOUTS} drop-outs found, none false"
            reached = found == _N_DROPOUTS and not false
            targets.append(Target(text, f"{found} found, {false} false", reached))
    columns = [
        Column("steps"), Column("drop-outs", "{:d}"), Column("found", "{:d}"),
        Column("false", "{:d}"), Column("D", "{:.3f}"), Column("f", "{:.3f}"),
        Column("D*", "{:.1f}"), Column("CPU s", "{:.1f}"),
    ]  # fmt: skip
    title = "Slices that lose 20 to 60 %; root mean square errors in the liver"
    return Table(title, columns, rows), targets


def _left_out(dwi: ik.DWI, truth: ik.simulate.TrueArtefacts) -> NDArray[np.bool_]:
    """Return which slices of which volumes are left out, shape (n_volumes, z)."""
    if dwi.value_weights is None:
        return np.zeros_like(truth.dropped)
    gone = (np.asarray(dwi.value_weights) == 0) & truth.body[..., None]
    share = gone.sum(axis=(0, 1)) / np.maximum(truth.body.sum(axis=(0, 1)), 1)[:, None]
    return np.asarray(share.T > 0.5)


def _masks() -> tuple[Table, list[Target]]:
    """Compare masks of body and brain with the true ones."""
    rows: list[list[Cell]] = []
    targets: list[Target] = []
    for kind, anatomy in (("body", "abdomen"), ("brain", "brain")):
        for snr in (25.0, 8.0):
            made = Spoiled(snr, _B13, Artefacts(), kind=anatomy).made()
            truth = made.artefacts
            assert truth is not None
            done = correct(made.dwi, f"mask:kind={kind}")
            found = done.dwi.mask
            dice = 2.0 * float((found & truth.body).sum() / (found.sum() + truth.body.sum()))
            lost = 100.0 * float((made.dwi.mask & ~found).sum() / made.dwi.mask.sum())
            rows.append([kind, snr, dice, lost, done.seconds])
            if snr == _SNR:
                text = f"Mask of the {kind}: Dice ≥ {_MIN_DICE:g}"
                targets.append(Target(text, f"{dice:.4f}", dice >= _MIN_DICE))
    columns = [
        Column("mask"), Column("SNR", "{:.0f}"), Column("Dice", "{:.4f}"),
        Column("tissue lost, %", "{:.2f}"), Column("CPU s", "{:.1f}"),
    ]  # fmt: skip
    return Table("Masks against the true body and brain", columns, rows), targets


def _ringing() -> tuple[Table, list[Target]]:
    """Measure the errors by ringing, without and with noise."""
    rows: list[list[Cell]] = []
    for label, ringing in (("none", None), ("full", Ringing()), ("0.75", Ringing(1.0, 0.75))):
        scan = Spoiled(_SNR, _B13, Artefacts(ringing=ringing))
        for noise, made in (("no", scan.made(noisy=False)), ("yes", scan.made())):
            for steps in ("", _GIBBS):
                if there(steps) and not (steps and label != "full"):
                    done = correct(made.dwi, steps)
                    rows.append([label, noise, steps or "none", *errors_in(done.dwi, made).rmse])
    columns = [
        Column("k-space"), Column("noise"), Column("steps"), Column("D", "{:.3f}"),
        Column("f", "{:.3f}"), Column("D*", "{:.1f}"),
    ]  # fmt: skip
    return Table("Ringing; root mean square errors in the liver", columns, rows), []


def _contrast() -> tuple[Table, list[Target]]:
    """Measure what each step leaves of the contrast of small lesions in rough tissue."""
    radii = (5.0, 5.0, 5.0, 5.0, 9.0, 9.0)
    scans = [
        Spoiled(_SNR, _B13, Artefacts(), seed=seed, rough=True, lesions=radii).made()
        for seed in range(3)
    ]
    rows: list[list[Cell]] = []
    for steps in ("", "denoise", _GIBBS, "align", "outliers"):
        if not there(steps):
            continue
        done = [(correct(made.dwi, steps).dwi, made) for made in scans]
        kept = [_kept(dwi, made, radii) for dwi, made in done]
        errors = [errors_in(dwi, made).rmse[0] for dwi, made in done]
        rows.append([steps or "none", *np.mean(kept, axis=0).tolist(), float(np.mean(errors))])
    sizes = [
        Column(f"{name}, {r:g} mm", "{:.0f}") for r in sorted(set(radii)) for name in ("D", "f")
    ]
    columns = [Column("steps"), *sizes, Column("D of the liver, RMSE", "{:.3f}")]
    return Table("Contrast of small lesions that is left, %", columns, rows), []


def _kept(dwi: ik.DWI, made: ik.simulate.Phantom, radii: tuple[float, ...]) -> list[float]:
    """Return what is left of the contrast in D and f, in per cent, of each size."""
    liver = made.region("liver")
    lesions = [made.region(f"lesion of {radius:g} mm") for radius in sorted(set(radii))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = ik.fit(dwi.with_mask(liver | np.any(lesions, axis=0)), method="varpro")
    found = []
    for lesion in lesions:
        for name in ("D", "f"):
            apart = [
                float(np.nanmedian(values[lesion]) - np.nanmedian(values[liver]))
                for values in (result.maps[name], made.truth[name])
            ]
            found.append(100.0 * apart[0] / apart[1])
    return found


def _seconds() -> tuple[Table, list[Target]]:
    """Time the rigid alignment of a scan of 112 x 84 x 30 voxels and 13 volumes."""
    rows: list[list[Cell]] = []
    targets: list[Target] = []
    if there("align"):
        made = ik.simulate.phantom(
            shape=(112, 84, 30),
            bvals=_B13,
            snr=_SNR,
            partial_volume=2,
            artefacts=Artefacts(_RIGID),
        )
        start = time.perf_counter()
        done = correct(made.dwi, "align")
        wall = time.perf_counter() - start
        rows.append(["align", wall, done.seconds])
        text = f"112 x 84 x 30 voxels, 13 volumes: rigid in ≤ {_MAX_SECONDS:g} s"
        targets.append(Target(text, f"{wall:.1f} s", wall <= _MAX_SECONDS))
    columns = [Column("steps"), Column("s", "{:.1f}"), Column("CPU s", "{:.1f}")]
    return Table("Time of a scan of 112 x 84 x 30 voxels and 13 volumes", columns, rows), targets


FIGURE = Figure(
    order=28,
    name="preprocessing",
    title="Before the fit: motion, drift, drop-outs and ringing, and what steps leave of them",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
