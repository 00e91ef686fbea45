"""The parts that models, methods, estimators and priors are made of, for those who add one.

Everything that the file of a model needs is imported from here::

    from ivimkit.extend import Compartment, D, D_STAR, F, Parameter, SignalModel
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ivimkit.extend.compartment import Compartment, Derived, Product
    from ivimkit.extend.derived_maps import FLOW
    from ivimkit.extend.estimator import Estimator
    from ivimkit.extend.fit_method import FitMethod
    from ivimkit.extend.ivim_parameters import D_STAR, D, F, V
    from ivimkit.extend.prior import Prior
    from ivimkit.extend.signal_model import S0, SignalModel, TwoDecays
    from ivimkit.kernels.exponential import exp, log
    from ivimkit.kernels.separable.atoms import (
        decay,
        decay_bend,
        instant,
        kurtosis,
        kurtosis_bend,
        relaxing,
        relaxing_bend,
        stretched,
        stretched_bend,
    )
    from ivimkit.kernels.separable.flow_atoms import (
        ballistic,
        ballistic_bend,
        turning,
        turning_bend,
    )
    from ivimkit.parameter import Parameter

__all__ = [
    "D_STAR",
    "FLOW",
    "S0",
    "Compartment",
    "D",
    "Derived",
    "Estimator",
    "F",
    "FitMethod",
    "Parameter",
    "Prior",
    "Product",
    "SignalModel",
    "TwoDecays",
    "V",
    "ballistic",
    "ballistic_bend",
    "decay",
    "decay_bend",
    "exp",
    "instant",
    "kurtosis",
    "kurtosis_bend",
    "log",
    "relaxing",
    "relaxing_bend",
    "stretched",
    "stretched_bend",
    "turning",
    "turning_bend",
]

_ATOMS = "ivimkit.kernels.separable.atoms"
_HOME = {
    **dict.fromkeys(("Compartment", "Derived", "Product"), "ivimkit.extend.compartment"),
    **dict.fromkeys(("S0", "SignalModel", "TwoDecays"), "ivimkit.extend.signal_model"),
    **dict.fromkeys(("D_STAR", "D", "F", "V"), "ivimkit.extend.ivim_parameters"),
    **dict.fromkeys(
        ("ballistic", "ballistic_bend", "turning", "turning_bend"),
        "ivimkit.kernels.separable.flow_atoms",
    ),
    **dict.fromkeys(("exp", "log"), "ivimkit.kernels.exponential"),
    "Estimator": "ivimkit.extend.estimator",
    "FLOW": "ivimkit.extend.derived_maps",
    "FitMethod": "ivimkit.extend.fit_method",
    "Parameter": "ivimkit.parameter",
    "Prior": "ivimkit.extend.prior",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: the modules of this folder are imported one by one everywhere, and
    # one of them must not import all others.
    if name not in __all__:
        raise AttributeError(
            f"module 'ivimkit.extend' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    return getattr(import_module(_HOME.get(name, _ATOMS)), name)


def __dir__() -> list[str]:
    return sorted(__all__)
