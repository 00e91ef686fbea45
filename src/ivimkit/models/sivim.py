"""Simplified IVIM: the blood signal is there at b = 0 and gone at the first b > 0."""

from __future__ import annotations

import math

from ivimkit.extend.signal_model import SignalModel, TwoPools
from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp
from ivimkit.parameter import TISSUE_RATE, Parameter


@device
def _signal(b: float, p: tuple[float, float, float]) -> tuple[float, tuple[float, float, float]]:
    s0, f, d = p[0], p[1], p[2]
    blood = 1.0 if b == 0.0 else 0.0
    tissue = exp(-b * d)
    shape = f * blood + (1.0 - f) * tissue
    return s0 * shape, (shape, s0 * (blood - tissue), -b * s0 * (1.0 - f) * tissue)


MODEL = SignalModel(
    name="sivim",
    title="simplified IVIM",
    equation="S(b) = S0 [f (b = 0) + (1-f) exp(-b D)]",
    parameters=(
        Parameter("S0", "S0", "a.u.", 0.0, math.inf, 1.0, description="signal at b = 0"),
        Parameter("f", "f", "", 0.0, 1.0, 0.1, (0.0, 0.4), "perfusion fraction"),
        Parameter(
            "D",
            "D",
            "mm^2/s",
            0.0,
            5e-3,
            1e-3,
            (0.0, 2.5e-3),
            "diffusion coefficient",
            TISSUE_RATE,
        ),
    ),
    kernel=_signal,
    pools=TwoPools(slow="D", fraction="f"),
    references=(
        "Conklin J et al. A simplified model for intravoxel incoherent motion perfusion imaging "
        "of the brain. AJNR Am J Neuroradiol 2016;37:2251-2257. doi:10.3174/ajnr.A4929",
    ),
)
