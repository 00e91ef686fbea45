"""Bi-exponential IVIM: blood in capillaries looks like a second, fast diffusion."""

from __future__ import annotations

import math

from ivimkit.extend.signal_model import SignalModel, TwoPools
from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp
from ivimkit.parameter import BLOOD_RATE, TISSUE_RATE, Parameter


@device
def _signal(
    b: float, p: tuple[float, float, float, float]
) -> tuple[float, tuple[float, float, float, float]]:
    s0, f, d_star, d = p[0], p[1], p[2], p[3]
    blood = exp(-b * d_star)
    tissue = exp(-b * d)
    shape = f * blood + (1.0 - f) * tissue
    return s0 * shape, (
        shape,
        s0 * (blood - tissue),
        -b * s0 * f * blood,
        -b * s0 * (1.0 - f) * tissue,
    )


MODEL = SignalModel(
    name="biexp",
    title="bi-exponential IVIM",
    equation="S(b) = S0 [f exp(-b D*) + (1-f) exp(-b D)]",
    parameters=(
        Parameter("S0", "S0", "a.u.", 0.0, math.inf, 1.0, description="signal at b = 0"),
        Parameter("f", "f", "", 0.0, 1.0, 0.1, (0.0, 0.4), "perfusion fraction"),
        Parameter(
            "D_star",
            "D*",
            "mm^2/s",
            2e-3,
            0.2,
            0.01,
            (0.0, 0.1),
            "pseudo-diffusion coefficient",
            BLOOD_RATE,
        ),
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
    pools=TwoPools(slow="D", fast="D_star", fraction="f"),
    references=(
        "Le Bihan D et al. Separation of diffusion and perfusion in intravoxel incoherent motion "
        "MR imaging. Radiology 1988;168:497-505. doi:10.1148/radiology.168.2.3393671",
    ),
)
