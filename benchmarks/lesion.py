"""Lesion: whether a prior learned from a large liver hides a small lesion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import B13, DataSet, two_pool_signal
from benchmarks.error import UNITS
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target

_VOXELS = 10_000
_QUICK, _FULL = 5, 20
_SNR = 20.0
_S0 = 1000.0
_SEED = 7
# Spread of ln f, ln D* and ln D inside a tissue.
_SPREADS = (0.2, 0.3, 0.1)
_JUDGED = ("D", "f")
_KEPT = 0.85


@dataclass(frozen=True)
class _Tissue:
    """A tissue: its fraction of the voxels and the means of f, D* and D (mm^2/s)."""

    name: str
    share: float
    f: float
    D_star: float
    D: float


_TISSUES = (
    _Tissue("liver", 0.55, 0.25, 60e-3, 1.10e-3),
    _Tissue("spleen", 0.13, 0.12, 30e-3, 0.80e-3),
    _Tissue("kidney", 0.15, 0.20, 20e-3, 1.90e-3),
    _Tissue("muscle", 0.13, 0.10, 25e-3, 1.50e-3),
    _Tissue("vessel", 0.03, 0.75, 60e-3, 1.60e-3),
    _Tissue("lesion", 0.01, 0.15, 40e-3, 0.92e-3),
)
_LIVER, _LESION = 0, len(_TISSUES) - 1

_LEAST_SQUARES, _FLAT = "varpro", "bayes, flat, default bounds"
_LEARNED, _LABELS = "bayes, learned", "bayes, learned, lesion labelled"
_SHRINKAGE = "bayes, shrinkage"
_METHODS = {
    _LEAST_SQUARES: ik.methods.get("varpro"),
    _FLAT: ik.methods.get("bayes", prior="flat"),
    _LEARNED: ik.methods.get("bayes", prior="learned"),
    _LABELS: ik.methods.get("bayes", prior="learned"),
    _SHRINKAGE: ik.methods.get("bayes", prior="shrinkage"),
}


@dataclass(frozen=True)
class _Phantom:
    """Voxels of all tissues, with their labels."""

    data: DataSet
    tissue: NDArray[np.int64]

    @property
    def lesion(self) -> NDArray[np.bool_]:
        return self.tissue == _LESION

    def separation(self, values: NDArray[np.float64]) -> float:
        """Return the area under the ROC curve of lesion against liver; the truth gives the sign.

        A voxel that was not fitted counts as a tie.
        """
        known = np.where(np.isnan(values), np.nanmedian(values), values)
        lesion, liver = known[self.lesion], known[self.tissue == _LIVER]
        # Both D and f are lower in the lesion.
        return float(mannwhitneyu(liver, lesion).statistic / (lesion.size * liver.size))

    def contrast(self, values: NDArray[np.float64]) -> float:
        """Return the difference of the means, lesion minus liver."""
        return float(np.nanmean(values[self.lesion]) - np.nanmean(values[self.tissue == _LIVER]))


def measure(settings: Settings) -> Findings:
    """Fit phantoms with different seeds by every method."""
    n = settings.size(_VOXELS)
    seeds = _FULL if settings.full else _QUICK
    found: dict[str, list[list[float]]] = {label: [] for label in _METHODS}
    for seed in range(seeds):
        print(f"lesion: phantom {seed + 1} of {seeds} ...", flush=True)
        phantom = _phantom(n, seed)
        for label, method in _METHODS.items():
            labels = phantom.lesion.astype(int) if label == _LABELS else None
            result = ik.fit(phantom.data.signal, B13, method=method, labels=labels)
            result.raise_for_status(max_failed=0.001)
            found[label].append(_judge(phantom, result))
    means = {label: np.mean(rows, axis=0) for label, rows in found.items()}
    return Findings(
        conditions={
            "data": f"{seeds} phantoms of {n} voxels (55 % liver, spleen 13, kidney 15, muscle "
            f"13, vessel 3, lesion 1 %), b13, SNR {_SNR:g}, Rician noise; inside a tissue ln f, "
            "ln D* and ln D vary by 0.2, 0.3 and 0.1; liver f 0.25, D* 0.06, D 1.1e-3, lesion f "
            "0.15, D* 0.04, D 0.92e-3 mm²/s",
            "bounds": "defaults",
            "told": "nothing about the noise",
        },
        checked="at most 0.1 % of the voxels without a fit; the separation that the true values "
        "give is above 0.85 for both.",
        tables=[
            Table(
                "Lesion against liver, mean of all phantoms",
                [
                    Column("method"),
                    *(
                        Column(f"{name}: {what}", form)
                        for name in _JUDGED
                        for what, form in (
                            ("AUC", "{:.3f}"),
                            ("contrast kept, %", "{:.0f}"),
                            (f"RMSE{', 10⁻³ mm²/s' if name == 'D' else ''}", "{:.3f}"),
                        )
                    ),
                ],
                [_row(label, values) for label, values in means.items()],
            )
        ],
        targets=_targets(means) if n >= _VOXELS else (),
        notes=[
            "AUC: probability that a voxel of the lesion is below one of the liver; 0.5 is "
            "chance. Contrast kept: difference of the mean estimates over the difference of the "
            "true means; above 100 % a method exaggerates it, because noise biases the estimates "
            "of the two tissues apart by different amounts. A prior trades contrast for noise. "
            "With labels the lesion has a separate prior.",
            *([] if n >= _VOXELS else [f"Goals are evaluated from {_VOXELS} voxels on."]),
        ],
    )


def _phantom(n: int, seed: int) -> _Phantom:
    random = np.random.default_rng([_SEED, seed])
    counts = [round(n * tissue.share) for tissue in _TISSUES]
    tissue = np.repeat(np.arange(len(_TISSUES)), counts)
    truth = {"S0": np.full(tissue.size, _S0)}
    for name, spread in zip(("f", "D_star", "D"), _SPREADS, strict=True):
        mean = np.array([getattr(t, name) for t in _TISSUES])[tissue]
        varied = mean * np.exp(spread * random.standard_normal(tissue.size) - 0.5 * spread**2)
        truth[name] = np.minimum(varied, 0.95) if name == "f" else varied
    drawn = random.standard_normal((tissue.size, B13.size, 2)) * (_S0 / _SNR)
    signal = np.hypot(two_pool_signal(B13, **truth) + drawn[..., 0], drawn[..., 1])
    phantom = _Phantom(DataSet("lesion", B13, signal, truth), tissue)
    for name in _JUDGED:
        if phantom.separation(truth[name]) < 0.85:
            raise AssertionError(f"{name}: the truth itself does not separate lesion and liver")
    return phantom


def _judge(phantom: _Phantom, result: ik.FitResult) -> list[float]:
    numbers = []
    for name in _JUDGED:
        values, truth = result.maps[name], phantom.data.truth[name]
        error = np.sqrt(np.nanmean((values - truth) ** 2)) / UNITS[name]
        kept = phantom.contrast(values) / phantom.contrast(truth)
        numbers += [phantom.separation(values), 100.0 * kept, float(error)]
    return numbers


def _row(label: str, values: NDArray[np.float64]) -> list[Cell]:
    return [label, *map(float, values)]


def _targets(means: dict[str, NDArray[np.float64]]) -> list[Target]:
    area = {label: values[[0, 3]] for label, values in means.items()}
    others = np.maximum(area[_LEAST_SQUARES], area[_FLAT])
    kept = means[_LABELS][[1, 4]]
    return [
        Target(
            "AUC of learned, in D and in f, never below flat or least squares",
            f"D {area[_LEARNED][0]:.3f} and {others[0]:.3f}, f {area[_LEARNED][1]:.3f} and "
            f"{others[1]:.3f}",
            bool((area[_LEARNED] >= others).all()),
        ),
        Target(
            f"Learned with the lesion labelled keeps ≥ {100 * _KEPT:g} % of the contrast",
            f"D {kept[0]:.0f} %, f {kept[1]:.0f} %",
            bool((kept >= 100.0 * _KEPT).all()),
        ),
    ]


FIGURE = Figure(
    order=16,
    name="lesion",
    title="A small lesion: what a prior does to its contrast",
    measure=measure,
    full_takes=f"{_FULL} phantoms, about 6 minutes",
)

if __name__ == "__main__":
    run_alone(FIGURE)
