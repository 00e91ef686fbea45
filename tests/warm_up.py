"""Compile the kernels that many tests use, each once, before the workers of pytest start.

Two workers that need a kernel at the same time compile it twice, and most tests need the same
few. What is compiled stays on disk: where it is there already, this takes a few seconds.
"""

from __future__ import annotations

import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np

B = np.array([0.0, 10, 20, 40, 80, 200, 400, 800])
SIGNALS = np.exp(-B * 1e-3)[np.newaxis] * 1000.0


def _fit(model: str, method: str, uncertainty: str | None = None, **options: object) -> None:
    import ivimkit as ik

    warnings.simplefilter("ignore")
    ik.fit(
        SIGNALS,
        B,
        model=model,
        method=ik.methods.get(method, **options),
        uncertainty=uncertainty,
        threads=1,
        device="cpu",
    )


def _jobs() -> list[tuple[str, str, str | None, dict[str, object]]]:
    """Return arguments of `_fit`, those that take longest first."""
    alone = {"prior": "flat", "variance": "voxel"}
    return [
        ("biexp", "varpro", None, {"noise": "rician"}),
        ("biexp", "varpro", None, {}),
        ("kurtosis", "varpro", None, {"noise": "rician"}),
        ("kurtosis", "varpro", None, {}),
        ("biexp", "bayes", None, alone),
        ("biexp", "varpro", "profile", {}),
        ("biexp", "varpro", "bootstrap", {}),
        ("biexp", "segmented", None, {}),
        ("biexp", "trr", None, {}),
        ("biexp", "varpro", "curvature", {}),
        ("sivim", "loglinear", None, {}),
    ]


def main() -> None:
    """Compile in as many processes as there are cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ProcessPoolExecutor(cores) as pool:
        running = [
            pool.submit(_fit, model, method, uncertainty, **options)
            for model, method, uncertainty, options in _jobs()
        ]
        for one in running:
            one.result()


if __name__ == "__main__":
    sys.exit(main())
