"""The parameters that models of intravoxel incoherent motion have in common."""

from __future__ import annotations

from ivimkit.parameter import BLOOD_RATE, TISSUE_RATE, Parameter

__all__ = ["D_STAR", "D", "F", "V"]

F = Parameter(
    "f",
    "f",
    "",
    0.0,
    1.0,
    0.1,
    display=(0.0, 0.4),
    description="perfusion fraction",
    role="fraction",
    typical=(0.08, 0.32),
    most=1.0,
)

D_STAR = Parameter(
    "D_star",
    "D*",
    "mm^2/s",
    2e-3,
    0.2,
    0.01,
    display=(0.0, 0.1),
    description="pseudo-diffusion coefficient",
    plausible=BLOOD_RATE,
    role="perfusion",
    scale="log",
    typical=(0.02, 0.08),
)

D = Parameter(
    "D",
    "D",
    "mm^2/s",
    0.0,
    5e-3,
    1e-3,
    display=(0.0, 2.5e-3),
    description="diffusion coefficient",
    plausible=TISSUE_RATE,
    role="diffusion",
    typical=(0.5e-3, 2e-3),
)

V = Parameter(
    "v",
    "v",
    "mm/s",
    0.1,
    10.0,
    2.0,
    display=(0.0, 6.0),
    description="root mean square of the speed of blood",
    plausible=(0.01, 200.0),
    role="perfusion",
    scale="log",
    typical=(1.0, 5.0),
)
