"""IVIM with a diffusion tensor: blood that flows everywhere, tissue with a direction.

The tissue has one more parameter than the bi-exponential model for each element of a tensor: its
mean diffusivity, and five that depend on the axes of the image. What does not depend on them, and
the direction itself, are derived maps.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.extend.compartment import Compartment, Derived, Product
from ivimkit.extend.derived_maps import FLOW
from ivimkit.extend.diffusion_tensor import (
    eigenvalues,
    fractional_anisotropy,
    principal_direction,
    tensor_candidates,
)
from ivimkit.extend.ivim_parameters import D_STAR, D, F
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import decay, decay_bend
from ivimkit.kernels.separable.tensor_atom import tensor, tensor_bend
from ivimkit.parameter import Parameter

# A tensor of 0 is not positive definite.
MD = replace(
    D, name="MD", symbol="MD", lower=1e-5, description="mean diffusivity of tissue", like="D"
)

# Ratios of elements of a triangular matrix: those of an anisotropy of 0.99 are inside.
_LEAST, _MOST = 0.05, 20.0


def _diagonal(name: str) -> Parameter:
    return Parameter(
        name,
        name,
        "",
        _LEAST,
        _MOST,
        1.0,
        description=f"element {name[2:]} of the triangular matrix of the tensor, by element xx",
        role="orientation",
        scale="log",
        typical=(0.5, 2.0),
    )


def _below(name: str) -> Parameter:
    return replace(
        _diagonal(name),
        lower=-_MOST,
        upper=_MOST,
        start=0.0,
        scale="linear",
        typical=(-0.7, 0.7),
        least=-math.inf,
    )


FA = Parameter(
    "FA",
    "FA",
    "",
    0.0,
    1.0,
    0.3,
    display=(0.0, 1.0),
    description="fractional anisotropy of tissue",
    role="shape",
    typical=(0.1, 0.6),
    most=1.0,
)


_EIGENVALUES = tuple(
    replace(D, name=f"L{number}", symbol=f"L{number}", description=f"{which} of tissue")
    for number, which in (
        (1, "largest eigenvalue of the diffusion tensor"),
        (2, "second eigenvalue of the diffusion tensor"),
        (3, "smallest eigenvalue of the diffusion tensor"),
    )
)


def _component(axis: str) -> Parameter:
    return Parameter(
        f"V1{axis}",
        f"V1{axis}",
        "",
        -1.0,
        1.0,
        0.0,
        display=(-1.0, 1.0),
        description=f"{axis} of the principal direction, as the directions of the scan have it",
        role="orientation",
        least=-1.0,
        most=1.0,
    )


def _invariants(*parameters: NDArray[np.float64]) -> NDArray[Any]:
    """Return FA, eigenvalues and principal direction, shape (n, 7)."""
    return np.concatenate(
        [
            fractional_anisotropy(*parameters)[:, None],
            eigenvalues(*parameters),
            principal_direction(*parameters),
        ],
        axis=1,
    )


_ELEMENTS = (
    *(_diagonal(name) for name in ("C_yy", "C_zz")),
    *(_below(name) for name in ("C_yx", "C_zx", "C_zy")),
)

_ISOTROPIC = {p.name: p.start for p in _ELEMENTS}

MODEL = SignalModel(
    name="tensor",
    title="IVIM with a diffusion tensor",
    equation="S(b, g) = S0 [f exp(-b D*) + (1-f) exp(-b g'Dg)], trace D = 3 MD",
    compartments=(
        Compartment("blood", decay, (D_STAR,), fraction=F, signal="perfusion", second=decay_bend),
        Compartment(
            "tissue",
            tensor,
            (MD, *_ELEMENTS),
            variables=("b", "gx", "gy", "gz"),
            second=tensor_bend,
            candidates=tensor_candidates,
        ),
    ),
    ascending=(("MD", "D_star"),),
    products=(Product(FLOW, ("f", "D_star")),),
    derived=(
        Derived(
            (FA, *_EIGENVALUES, *map(_component, "xyz")),
            ("MD", *(element.name for element in _ELEMENTS)),
            _invariants,
            shown=("FA",),
        ),
    ),
    special_cases={
        "biexp": _ISOTROPIC,
        "sivim": {"D_star": math.inf, **_ISOTROPIC},
        "monoexp": {"f": 0.0, **_ISOTROPIC},
    },
    references=(
        "Basser PJ et al. Estimation of the effective self-diffusion tensor from the NMR spin "
        "echo. J Magn Reson B 1994;103:247-254. doi:10.1006/jmrb.1994.1037",
        "Abdullah OM et al. Orientation dependence of microcirculation-induced diffusion signal "
        "in anisotropic tissues. Magn Reson Med 2016;76:1252-1262. doi:10.1002/mrm.25980",
        "Mozumder M et al. Simultaneous magnetic resonance diffusion and pseudo-diffusion tensor "
        "imaging. Magn Reson Med 2018;79:2367-2378. doi:10.1002/mrm.26840",
    ),
    b_valid=1500.0,
    directions_needed=6,
)
