"""Which model: how often a criterion chooses the model that made the data."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import B21
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.model_cases import B_HIGH, drawn

_SNRS = (20, 50, 100, 500)
_PROTOCOLS = {"b up to 1000": B21, "b up to 2000": B_HIGH}
_CRITERIA = {"aicc": "AICc", "bic": "BIC", "f_test": "F-test", "evidence": "Evidence"}
_QUICK, _FULL = 300, 2000
_S0 = 1000.0
_SEED = 73
_MIN_RECOVERY = 0.9


def measure(settings: Settings) -> Findings:
    """Make voxels of every model of b, compare all models in them, and count the choices."""
    n = settings.size(_QUICK, _FULL)
    every = sorted(
        (model for model in map(ik.models.get, ik.models.names()) if model.variables == ("b",)),
        key=lambda model: model.n_free,
    )
    tables, found = [], {}
    for protocol, b in _PROTOCOLS.items():
        signals = {snr: _noisy(every, b, snr, n) for snr in _SNRS}
        for criterion, title in _CRITERIA.items():
            print(f"which_model: {protocol}, {title} ...", flush=True)
            rows: list[list[Cell]] = []
            names: Sequence[str] = ()
            for snr in _SNRS:
                comparison = _compared(signals[snr], b, criterion, every)
                names = comparison.names
                for k, model in enumerate(every):
                    if model.name in names:
                        chosen = comparison.chosen[k * n : (k + 1) * n]
                        shares = [float(np.mean(chosen == i)) for i in range(len(names))]
                        found[protocol, criterion, snr, model.name] = shares[
                            names.index(model.name)
                        ]
                        rows.append([f"{model.name}, SNR {snr}", *(100 * x for x in shares)])
            rows.sort(key=lambda row: names.index(str(row[0]).partition(",")[0]))
            tables.append(
                Table(
                    f"{title}, {protocol}: % of the voxels that choose each model",
                    [Column("truth"), *(Column(name, "{:.0f}") for name in names)],
                    rows,
                )
            )
    return Findings(
        conditions={
            "data": f"{n} voxels per model and SNR, parameters drawn where they usually are, "
            "Rician noise, sigma not given",
        },
        checked="every voxel has a choice, and the voxels of a row add up to 100 %.",
        tables=tables,
        targets=[
            Target(
                f"{criterion}, SNR 100: monoexp, sivim and biexp recovered in >= "
                f"{_MIN_RECOVERY:.0%} (lowest)",
                f"{lowest:.1%}",
                lowest >= _MIN_RECOVERY,
            )
            for criterion, lowest in (
                (
                    title,
                    min(
                        found["b up to 1000", key, 100, name]
                        for name in ("monoexp", "sivim", "biexp")
                    ),
                )
                for key, title in _CRITERIA.items()
            )
        ],
        notes=[
            "SNR 500 is what the mean of 100 voxels has at SNR 50. The F-test compares the chain "
            "of nested models, the evidence those of one or two decays; voxels of other models "
            "are not in their tables.",
        ],
    )


def _noisy(
    every: Sequence[ik.SignalModel], b: NDArray[np.float64], snr: float, n: int
) -> NDArray[np.float64]:
    """Return `n` voxels of each model, one model after the other."""
    clean = [ik.simulate.signals(model, drawn(model, n), b) for model in every]
    return ik.simulate.add_noise(np.concatenate(clean), sigma=_S0 / snr, seed=_SEED)


def _compared(
    signal: NDArray[np.float64],
    b: NDArray[np.float64],
    criterion: str,
    every: Sequence[ik.SignalModel],
) -> ik.Comparison:
    with warnings.catch_warnings():
        # Models without kurtosis warn of b = 2000, and those that need it of b = 1000.
        warnings.simplefilter("ignore", ik.errors.AcquisitionWarning)
        comparison = ik.compare(signal, b, models="all", criterion=criterion)
    if not (comparison.chosen >= 0).all():
        raise AssertionError(f"{criterion}: a voxel has no choice")
    return comparison


FIGURE = Figure(
    order=26,
    name="which_model",
    title="Which model: the true one, and the one chosen",
    measure=measure,
    full_takes="about 10 minutes (2000 voxels per model)",
)

if __name__ == "__main__":
    run_alone(FIGURE)
