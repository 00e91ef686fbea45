"""The prior in the form that kernels use: knots, marginals and density, read from the options."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import pasted
from ivimkit.kernels.memory import matrix
from ivimkit.kernels.two_decays.lattice.lattice_options import (
    IS_FLAT,
    N_FAST_KNOTS,
    N_FRACTION_KNOTS,
    N_SLOW_KNOTS,
    PRIOR,
)

__all__ = ["N_COMPONENT", "Prior", "read_prior"]

N_COMPONENT = 10
"""Numbers of a component of a mixture: logarithm of its weight times the height of its Gaussian,
mean, and the upper triangle of the inverse covariance, row by row."""


class Prior(NamedTuple):
    """Knots of the slow rate, the logarithm of the fast rate and the fraction, and the density.

    Parameters
    ----------
    slow_knots, fast_knots, fraction_knots : ndarray
        Positions at which the density is given; one knot for a fixed parameter.
    slow_marginal, fast_marginal, fraction_marginal : ndarray
        Marginal densities at the knots.
    density : ndarray, shape (n_slow * n_fast, n_fraction)
        Density at the knots, linear between them; of size 0 for a flat prior.
    components : ndarray, shape (n, N_COMPONENT)
        A mixture of Gaussians of ln r1, ln r2 and logit f that is the prior instead; otherwise of
        size 0.
    """

    slow_knots: NDArray[np.float64]
    fast_knots: NDArray[np.float64]
    fraction_knots: NDArray[np.float64]
    slow_marginal: NDArray[np.float64]
    fast_marginal: NDArray[np.float64]
    fraction_marginal: NDArray[np.float64]
    density: NDArray[np.float64]
    components: NDArray[np.float64]


@pasted
def read_prior(options: NDArray[np.float64]) -> Prior:
    """Return the prior in the options."""
    n1, n2 = int(options[N_SLOW_KNOTS]), int(options[N_FAST_KNOTS])
    n3 = int(options[N_FRACTION_KNOTS])
    at = PRIOR
    knots1, knots2 = options[at : at + n1], options[at + n1 : at + n1 + n2]
    at += n1 + n2
    knots3, prior1 = options[at : at + n3], options[at + n3 : at + n3 + n1]
    at += n3 + n1
    prior2, prior3 = options[at : at + n2], options[at + n2 : at + n2 + n3]
    at += n2 + n3
    size = 0 if options[IS_FLAT] > 0.0 else n1 * n2 * n3
    density = matrix(options[at : at + size], size // n3, n3)
    none = matrix(options[at:at], 0, N_COMPONENT)
    return Prior(knots1, knots2, knots3, prior1, prior2, prior3, density, none)
