"""Bi-exponential IVIM: blood in capillaries looks like a second, fast diffusion."""

from __future__ import annotations

from ivimkit.extend.compartment import Compartment, Product
from ivimkit.extend.derived_maps import FLOW
from ivimkit.extend.ivim_parameters import D_STAR, D, F
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import decay, decay_bend

MODEL = SignalModel(
    name="biexp",
    title="bi-exponential IVIM",
    equation="S(b) = S0 [f exp(-b D*) + (1-f) exp(-b D)]",
    compartments=(
        Compartment("blood", decay, (D_STAR,), fraction=F, signal="perfusion", second=decay_bend),
        Compartment("tissue", decay, (D,), second=decay_bend),
    ),
    ascending=(("D", "D_star"),),
    products=(Product(FLOW, ("f", "D_star")),),
    # sivim is the limit of an infinite D*, and monoexp the case f = 0.
    special_cases={"sivim": {"D_star": float("inf")}, "monoexp": {"f": 0.0}},
    references=(
        "Le Bihan D et al. Separation of diffusion and perfusion in intravoxel incoherent motion "
        "MR imaging. Radiology 1988;168:497-505. doi:10.1148/radiology.168.2.3393671",
    ),
    b_valid=1500.0,
)
