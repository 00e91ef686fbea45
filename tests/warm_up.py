"""Compile the kernels that many tests use, each once, before the workers of pytest start.

Two workers that need a kernel at the same time compile it twice, and most tests need the same
few. What is compiled stays on disk: where it is there already, this takes a few seconds.

A process keeps the functions that it has compiled: a second driver around the same fit, such as
that of a bootstrap, takes a fraction of the time there. A driver from disk does not contain them.
So fits that share code are one job, in one process.
"""

from __future__ import annotations

import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

B = np.array([0.0, 10, 20, 40, 80, 120, 200, 400, 800])
SIGNALS = np.exp(-B * 1e-3)[np.newaxis] * 1000.0


@dataclass(frozen=True)
class Fit:
    """What is fitted: `options` are those of the method, `more` those of `ivimkit.fit`."""

    model: str
    method: str = "varpro"
    uncertainty: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    fixed: dict[str, float] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    repeats: int = 1


RICIAN = {"noise": "rician"}
ALONE = {"prior": "flat", "variance": "voxel"}

# The jobs that take longest first.
JOBS = (
    (
        Fit("kurtosis"),
        Fit("kurtosis", uncertainty="bootstrap"),
        Fit("kurtosis", uncertainty="profile"),
        Fit("kurtosis", uncertainty="curvature"),
        Fit("kurtosis", options=RICIAN),
        Fit("triexp"),
        Fit("stretched"),
        Fit("tensor"),
    ),
    (
        Fit("biexp"),
        Fit("biexp", fixed={"D": 1e-3}),
        Fit("biexp", uncertainty="bootstrap"),
        Fit("biexp", uncertainty="profile"),
        Fit("biexp", uncertainty="curvature"),
        Fit("biexp", options=RICIAN),
        Fit("biexp", options=RICIAN, repeats=2),
        Fit("biexp", more={"precision": "float32"}),
        Fit("biexp", "segmented"),
        Fit("biexp", "trr"),
    ),
    (Fit("biexp", "bayes", options=ALONE),),
    (Fit("sivim", "loglinear"),),
)


def _compile(job: tuple[Fit, ...]) -> None:
    import ivimkit as ik
    from ivimkit.simulate.protocol import protocol_of
    from ivimkit.testing import measurements

    warnings.simplefilter("ignore")
    for fit in job:
        model = ik.models.get(fit.model)
        b, signals = np.tile(B, fit.repeats), np.tile(SIGNALS, fit.repeats)
        if model.variables == ("b",):
            scan = ik.DWI(signals, b)
        else:
            columns = measurements(model)
            scan = ik.DWI(np.exp(-columns["b"] * 1e-3)[np.newaxis], protocol_of(columns))
        ik.fit(
            scan,
            model=model.with_fixed(**fit.fixed),
            method=ik.methods.get(fit.method, **fit.options),
            uncertainty=fit.uncertainty,
            threads=1,
            device="cpu",
            **fit.more,
        )


def main() -> None:
    """Compile in as many processes as there are cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ProcessPoolExecutor(cores) as pool:
        list(pool.map(_compile, JOBS))


if __name__ == "__main__":
    sys.exit(main())
