"""Tri-exponential IVIM: vessels, a compartment between vessels and tissue, and tissue."""

from __future__ import annotations

from dataclasses import replace

from ivimkit.extend.compartment import Compartment
from ivimkit.extend.ivim_parameters import D_STAR, D, F
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import decay, decay_bend

F_FAST = replace(
    F,
    name="f_fast",
    symbol="f_fast",
    start=0.1,
    description="fraction of the fast compartment",
    typical=(0.05, 0.25),
)
D_FAST = replace(
    D_STAR,
    name="D_fast",
    symbol="D_fast",
    lower=25e-3,
    upper=0.5,
    start=0.1,
    display=(0.0, 0.3),
    description="pseudo-diffusion coefficient of the fast compartment",
    typical=(0.06, 0.27),
)
F_INTER = replace(
    F,
    name="f_inter",
    symbol="f_inter",
    start=0.15,
    description="fraction of the intermediate compartment",
    typical=(0.05, 0.3),
)
D_INTER = replace(
    D_STAR,
    name="D_inter",
    symbol="D_inter",
    lower=3e-3,
    upper=25e-3,
    start=8e-3,
    display=(0.0, 0.025),
    description="pseudo-diffusion coefficient of the intermediate compartment",
    typical=(5e-3, 20e-3),
)

MODEL = SignalModel(
    name="triexp",
    title="tri-exponential IVIM",
    equation=(
        "S(b) = S0 [f_fast exp(-b D_fast) + f_inter exp(-b D_inter) "
        "+ (1-f_fast-f_inter) exp(-b D)]"
    ),
    compartments=(
        Compartment("fast", decay, (D_FAST,), fraction=F_FAST, second=decay_bend),
        Compartment("intermediate", decay, (D_INTER,), fraction=F_INTER, second=decay_bend),
        Compartment("tissue", decay, (D,), second=decay_bend),
    ),
    ascending=(("D", "D_inter"), ("D_inter", "D_fast")),
    special_cases={"biexp": {"f_inter": 0.0}, "monoexp": {"f_fast": 0.0, "f_inter": 0.0}},
    references=(
        "Wurnig MC et al. Is there evidence for more than two diffusion components in abdominal "
        "organs? A magnetic resonance imaging study in healthy volunteers. NMR Biomed "
        "2018;31:e3852. doi:10.1002/nbm.3852",
        "Chevallier O et al. Evidence of tri-exponential decay for liver intravoxel incoherent "
        "motion MRI: a review of published results and limitations. Diagnostics 2021;11:379. "
        "doi:10.3390/diagnostics11020379",
    ),
    b_valid=1500.0,
)
