"""IVIM with a stretched exponential: tissue with a distribution of diffusion coefficients."""

from __future__ import annotations

from dataclasses import replace

from ivimkit.extend.compartment import Compartment, Product
from ivimkit.extend.derived_maps import FLOW
from ivimkit.extend.ivim_parameters import D_STAR, D, F
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import decay, decay_bend, stretched, stretched_bend
from ivimkit.parameter import Parameter

DDC = replace(
    D,
    name="DDC",
    symbol="DDC",
    lower=1e-4,
    upper=4e-3,
    description="distributed diffusion coefficient",
    like="D",
)

ALPHA = Parameter(
    "alpha",
    "alpha",
    "",
    0.3,
    1.0,
    0.85,
    display=(0.3, 1.0),
    description="exponent of the stretched decay: 1 for one diffusion coefficient",
    role="shape",
    typical=(0.7, 0.95),
    most=1.0,
)

MODEL = SignalModel(
    name="stretched",
    title="IVIM with a stretched exponential",
    equation="S(b) = S0 [f exp(-b D*) + (1-f) exp(-(b DDC)^alpha)]",
    compartments=(
        Compartment("blood", decay, (D_STAR,), fraction=F, signal="perfusion", second=decay_bend),
        Compartment("tissue", stretched, (DDC, ALPHA), second=stretched_bend),
    ),
    ascending=(("DDC", "D_star"),),
    products=(Product(FLOW, ("f", "D_star")),),
    special_cases={
        "biexp": {"alpha": 1.0},
        "sivim": {"D_star": float("inf"), "alpha": 1.0},
        "monoexp": {"f": 0.0, "alpha": 1.0},
    },
    references=(
        "Bennett KM et al. Characterization of continuously distributed cortical water diffusion "
        "rates with a stretched-exponential model. Magn Reson Med 2003;50:727-734. "
        "doi:10.1002/mrm.10581",
    ),
    b_needed=1500.0,
)
