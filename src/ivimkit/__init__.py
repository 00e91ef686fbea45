"""ivimkit: intravoxel incoherent motion MRI, from a scan to maps with known uncertainty.

import ivimkit as ik

dwi = ik.load("dwi.nii.gz")          # finds dwi.bval beside it
result = ik.fit(dwi)                 # S0, f, D*, D and ADC of every voxel
ik.save(result, "out")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ivimkit import (
        compat,
        conventions,
        errors,
        io,
        methods,
        models,
        noise,
        organs,
        priors,
        quality,
        report,
        simulate,
        status,
        uncertainty,
    )
    from ivimkit.acquisition import Acquisition
    from ivimkit.comparison import Comparison, compare
    from ivimkit.cramer_rao import crlb
    from ivimkit.dwi import DWI
    from ivimkit.fitting import fit
    from ivimkit.geometry import Geometry
    from ivimkit.io import (
        load,
        load_labels,
        load_prior,
        load_result,
        save,
        save_comparison,
        save_prior,
    )
    from ivimkit.labels import Labels
    from ivimkit.result import FitResult
    from ivimkit.viewer import view

__all__ = [
    "DWI",
    "Acquisition",
    "Comparison",
    "FitResult",
    "Geometry",
    "Labels",
    "__version__",
    "compare",
    "compat",
    "conventions",
    "crlb",
    "errors",
    "fit",
    "io",
    "load",
    "load_labels",
    "load_prior",
    "load_result",
    "masks",
    "methods",
    "models",
    "noise",
    "organs",
    "priors",
    "quality",
    "report",
    "save",
    "save_comparison",
    "save_prior",
    "simulate",
    "status",
    "uncertainty",
    "view",
]

_HOME = {
    "Acquisition": "acquisition",
    "Comparison": "comparison",
    "DWI": "dwi",
    "FitResult": "result",
    "Geometry": "geometry",
    "Labels": "labels",
    "compare": "comparison",
    "crlb": "cramer_rao",
    "fit": "fitting",
    "load": "io",
    "load_labels": "io",
    "load_prior": "io",
    "load_result": "io",
    "save": "io",
    "save_comparison": "io",
    "save_prior": "io",
    "view": "viewer",
}


def __getattr__(name: str) -> Any:
    # Heavy parts load on first use: `import ivimkit` itself imports nothing.
    if name in _HOME:
        return getattr(import_module(f"ivimkit.{_HOME[name]}"), name)
    if name in __all__:
        return import_module(f"ivimkit.{name}")
    raise AttributeError(
        f"module 'ivimkit' has no attribute {name!r}; it has {', '.join(__all__)}"
    )


def __dir__() -> list[str]:
    return sorted(__all__)
