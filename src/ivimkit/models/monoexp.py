"""Mono-exponential decay: one apparent diffusion coefficient."""

from __future__ import annotations

import math

from ivimkit.extend.signal_model import SignalModel, TwoPools
from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp
from ivimkit.parameter import TISSUE_RATE, Parameter


@device
def _signal(b: float, p: tuple[float, float]) -> tuple[float, tuple[float, float]]:
    s0, adc = p[0], p[1]
    decay = exp(-b * adc)
    return s0 * decay, (decay, -b * s0 * decay)


MODEL = SignalModel(
    name="monoexp",
    title="mono-exponential decay",
    equation="S(b) = S0 exp(-b ADC)",
    parameters=(
        Parameter("S0", "S0", "a.u.", 0.0, math.inf, 1.0, description="signal at b = 0"),
        Parameter(
            "ADC",
            "ADC",
            "mm^2/s",
            0.0,
            0.02,
            1e-3,
            (0.0, 2.5e-3),
            "apparent diffusion coefficient",
            TISSUE_RATE,
        ),
    ),
    kernel=_signal,
    pools=TwoPools(slow="ADC"),
    references=(
        "Stejskal EO, Tanner JE. Spin diffusion measurements: spin echoes in the presence of a "
        "time-dependent field gradient. J Chem Phys 1965;42:288-292. doi:10.1063/1.1695690",
    ),
)
