"""Simplified IVIM: the blood signal contributes at b = 0 only."""

from __future__ import annotations

from ivimkit.extend.compartment import Compartment
from ivimkit.extend.ivim_parameters import D, F
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import decay, decay_bend, instant

MODEL = SignalModel(
    name="sivim",
    title="simplified IVIM",
    equation="S(b) = S0 [f (b = 0) + (1-f) exp(-b D)]",
    compartments=(
        Compartment("blood", instant, fraction=F, signal="perfusion"),
        Compartment("tissue", decay, (D,), second=decay_bend),
    ),
    special_cases={"monoexp": {"f": 0.0}},
    references=(
        "Conklin J et al. A simplified model for intravoxel incoherent motion perfusion imaging "
        "of the brain. AJNR Am J Neuroradiol 2016;37:2251-2257. doi:10.3174/ajnr.A4929",
    ),
)
