"""Mono-exponential decay: one apparent diffusion coefficient."""

from __future__ import annotations

from ivimkit.extend.compartment import Compartment
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import decay, decay_bend
from ivimkit.parameter import TISSUE_RATE, Parameter

ADC = Parameter(
    "ADC",
    "ADC",
    "mm^2/s",
    0.0,
    0.02,
    1e-3,
    display=(0.0, 2.5e-3),
    description="apparent diffusion coefficient",
    plausible=TISSUE_RATE,
    role="diffusion",
    typical=(0.5e-3, 2e-3),
)

MODEL = SignalModel(
    name="monoexp",
    title="mono-exponential decay",
    equation="S(b) = S0 exp(-b ADC)",
    compartments=(Compartment("tissue", decay, (ADC,), second=decay_bend),),
    references=(
        "Stejskal EO, Tanner JE. Spin diffusion measurements: spin echoes in the presence of a "
        "time-dependent field gradient. J Chem Phys 1965;42:288-292. doi:10.1063/1.1695690",
    ),
)
