"""ivimkit: intravoxel incoherent motion MRI, from a scan to maps with known uncertainty.

import ivimkit as ik

dwi = ik.load("dwi.nii.gz")          # finds dwi.bval next to it
result = ik.fit(dwi)                 # S0, f, D*, D and ADC of every voxel
ik.save(result, "out")
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ivimkit import (
        cohort,
        compat,
        conventions,
        datasets,
        errors,
        figures,
        io,
        methods,
        models,
        noise,
        organs,
        planning,
        priors,
        quality,
        report,
        simulate,
        status,
        steps,
        uncertainty,
    )
    from ivimkit.any_scan import compare, fit, preprocess
    from ivimkit.curve import CurveFit, fit_curve
    from ivimkit.fitting.comparison import Comparison
    from ivimkit.fitting.cramer_rao import crlb
    from ivimkit.fitting.result import FitResult
    from ivimkit.io import (
        load,
        load_labels,
        load_prior,
        load_result,
        save,
        save_comparison,
        save_design,
        save_prior,
    )
    from ivimkit.planning import ProtocolDesign, ProtocolErrors, design, protocol_errors
    from ivimkit.portable_bits import use_portable_bits
    from ivimkit.scan.acquisition import Acquisition
    from ivimkit.scan.dwi import DWI
    from ivimkit.scan.geometry import Geometry
    from ivimkit.scan.labels import Labels
    from ivimkit.viewer import view

    __version__: str

__all__ = [
    "DWI",
    "Acquisition",
    "Comparison",
    "CurveFit",
    "FitResult",
    "Geometry",
    "Labels",
    "ProtocolDesign",
    "ProtocolErrors",
    "__version__",
    "cohort",
    "compare",
    "compat",
    "conventions",
    "crlb",
    "datasets",
    "design",
    "errors",
    "figures",
    "fit",
    "fit_curve",
    "gradients",
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
    "planning",
    "preprocess",
    "priors",
    "protocol_errors",
    "quality",
    "report",
    "save",
    "save_comparison",
    "save_design",
    "save_prior",
    "simulate",
    "status",
    "steps",
    "uncertainty",
    "use_portable_bits",
    "view",
]

_HOME = {
    "Acquisition": "scan.acquisition",
    "Comparison": "fitting.comparison",
    "CurveFit": "curve",
    "DWI": "scan.dwi",
    "FitResult": "fitting.result",
    "Geometry": "scan.geometry",
    "Labels": "scan.labels",
    "ProtocolDesign": "planning",
    "ProtocolErrors": "planning",
    "compare": "any_scan",
    "crlb": "fitting.cramer_rao",
    "design": "planning",
    "fit": "any_scan",
    "fit_curve": "curve",
    "load": "io",
    "load_labels": "io",
    "load_prior": "io",
    "load_result": "io",
    "preprocess": "any_scan",
    "protocol_errors": "planning",
    "save": "io",
    "save_comparison": "io",
    "save_design": "io",
    "save_prior": "io",
    "use_portable_bits": "portable_bits",
    "view": "viewer",
}
_MODULES = {"gradients": "scan.gradient_timing", "masks": "scan.masks"}
"""Public modules inside a folder."""


def __getattr__(name: str) -> Any:
    # Heavy parts load on first use: `import ivimkit` itself imports nothing.
    if name == "__version__":
        return import_module("importlib.metadata").version("ivimkit")
    if name in _HOME:
        return getattr(import_module(f"ivimkit.{_HOME[name]}"), name)
    if name in __all__:
        return import_module(f"ivimkit.{_MODULES.get(name, name)}")
    raise AttributeError(
        f"module 'ivimkit' has no attribute {name!r}; it has {', '.join(__all__)}"
    )


def __dir__() -> list[str]:
    return sorted(__all__)


def _show_results_in_notebooks() -> None:
    """Let IPython draw a result; nothing is imported before a notebook shows one."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None:
        return

    def html(result: FitResult) -> str:
        from ivimkit.report.notebook import result_html

        return result_html(result)

    formatter = shell.display_formatter.formatters["text/html"]
    formatter.for_type_by_name("ivimkit.fitting.result", "FitResult", html)


_show_results_in_notebooks()
