"""Compile the kernels that many tests use, each once, before the workers of pytest start.

Two workers that need a kernel at the same time compile it twice, and most tests need the same
few. What is compiled stays on disk: where it is there already, this takes a few seconds.

A process keeps the functions that it has compiled: a second driver around the same fit, such as
that of a bootstrap, takes a fraction of the time there. A driver from disk does not contain them.
So fits that share code are one job, in one process.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

B = np.array([0.0, 10, 20, 40, 80, 120, 200, 400, 800])
# An image, in which voxels have neighbours; priors learn from 50 voxels or more.
SIGNALS = np.tile(np.exp(-B * 1e-3) * 1000.0, (10, 10, 1, 1))


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
SINGLE = {"precision": "float32"}
ALONE = {"prior": "flat", "variance": "voxel"}

# The jobs that take longest first.
JOBS = (
    (
        Fit("kurtosis"),
        *(Fit("kurtosis", uncertainty=name) for name in ("bootstrap", "profile", "curvature")),
        Fit("kurtosis", options=RICIAN),
        Fit("kurtosis", "bayes", options={"prior": "flat"}),
        Fit("triexp"),
        Fit("stretched"),
        Fit("tensor"),
    ),
    (
        Fit("biexp", "bayes", options=ALONE),
        Fit("biexp", "bayes", options={"prior": "local"}),
        Fit("monoexp", "bayes", options=ALONE),
    ),
    (
        Fit("biexp"),
        Fit("biexp", fixed={"D": 1e-3}),
        Fit("monoexp", uncertainty="bootstrap"),
        *(Fit("biexp", uncertainty=name) for name in ("bootstrap", "profile", "curvature")),
        Fit("biexp", options=RICIAN),
        Fit("biexp", options=RICIAN, repeats=2),
        Fit("biexp", options={"robust": True}),
        Fit("biexp", more=SINGLE),
        *(
            Fit("biexp", method, more=more)
            for method in ("segmented", "trr")
            for more in ({}, SINGLE)
        ),
        Fit("biexp", "segmented", options={"steps": 2}),
        Fit("biexp", "segmented", uncertainty="bootstrap"),
    ),
    (Fit("ballistic"), Fit("intermediate")),
    (Fit("biexp_t2"), Fit("sivim", "loglinear")),
    (Fit("biexp", "nnls", options={"regularisation": 0.1}),),
)


def _compile(job: tuple[Fit, ...]) -> None:
    import ivimkit as ik
    from ivimkit.simulate.protocol import protocol_of
    from ivimkit.testing import measurements

    warnings.simplefilter("ignore")
    # It says that it compiles, and that is what it is asked to do.
    logging.getLogger("ivimkit").setLevel(logging.ERROR)
    for fit in job:
        model = ik.models.get(fit.model)
        b, signals = np.tile(B, fit.repeats), np.tile(SIGNALS, fit.repeats)
        noise = np.random.default_rng(0).normal(0.0, 20.0, signals.shape)
        if model.variables == ("b",):
            scan = ik.DWI(signals + noise, b)
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
