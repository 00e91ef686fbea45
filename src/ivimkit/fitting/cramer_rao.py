"""crlb(): the smallest standard deviation that an unbiased fit of a protocol can have."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from scipy.special import ive

from ivimkit import models
from ivimkit.engine import evaluate, gradients
from ivimkit.errors import OptionError, ShapeError
from ivimkit.extend.signal_model import SignalModel
from ivimkit.noise.noise_kinds import check_noise_kind
from ivimkit.scan.variables import points

__all__ = ["CramerRaoBound", "crlb", "information_share"]

# Number of curves at a time: their slopes at 100 b-values take some tens of megabytes.
_MAX_CURVES = 1 << 14
# Smallest eigenvalue of a matrix with ones on its diagonal below which it is singular.
_MIN_EIGENVALUE = 1e-12
# Knots of the spline of the information, nodes of the integral at each, and its range to either
# side in standard deviations.
_N_KNOTS = 1024
_N_NODES = 400
_MAX_DEVIATIONS = 12.0


@dataclass(frozen=True, eq=False)
class CramerRaoBound:
    """The result of `crlb`.

    Parameters
    ----------
    names : tuple of str
        The parameters that are not fixed, in the model's order.
    covariance : ndarray, shape (..., n_free, n_free)
        Inverse of the Fisher information; see `crlb` for where that is singular.
    """

    names: tuple[str, ...]
    covariance: NDArray[np.float64] = field(repr=False)

    @property
    def sd(self) -> Mapping[str, NDArray[np.float64]]:
        """Smallest standard deviation per free parameter, in its unit, shape (...)."""
        variance = np.diagonal(self.covariance, axis1=-2, axis2=-1)
        return {name: np.sqrt(variance[..., k]) for k, name in enumerate(self.names)}


def crlb(
    model: str | SignalModel,
    params: ArrayLike,
    bvals: ArrayLike | Mapping[str, ArrayLike],
    sigma: ArrayLike,
    *,
    counts: ArrayLike | None = None,
    noise: str = "gaussian",
    coils: int = 1,
) -> CramerRaoBound:
    """Return the Cramer-Rao lower bound: the best precision with which a protocol can measure.

    No unbiased estimator has a smaller standard deviation. A fit with bounds is biased near them,
    so its scatter can be smaller there. All free parameters, S0 included, are unknown; parameters
    that are fixed in the model are known.

    Parameters
    ----------
    model : str or SignalModel
        The model or its name.
    params : array_like, shape (..., n_par)
        True parameters in the model's order and units, fixed ones included.
    bvals : array_like, shape (n_b,), or mapping of str to array_like
        b-values in s/mm^2; or a table with the variables of the model, like
        ``{"b": [0, 800], "echo_time": 75}``, each with n_b values or one for all.
    sigma : float or array_like, shape (...)
        Noise of one volume, a.u.: its standard deviation, or that of each channel of a magnitude.
    counts : array_like, shape (n_b,), optional
        Number of volumes at each b-value; 1 by default.
    noise : {"gaussian", "rician", "chi"}
        Noise of each volume: of complex or real data; of a magnitude; of the root of a sum of
        squares of `coils` magnitudes.
    coils : int
        Number of coils of noise ``"chi"``; with one it is ``"rician"``.

    Returns
    -------
    CramerRaoBound
        With ``sd`` and ``covariance``. A parameter that the signal does not depend on (D* where
        f = 0) has an infinite standard deviation and does not affect those of the others; where
        several cannot be distinguished, all are infinite. NaN where `params` are not finite.

    Raises
    ------
    OptionError
        For sigma <= 0, an unknown noise, or counts below 0.
    ShapeError
        If arrays do not fit each other.

    Notes
    -----
    The information in one value is ``I(A) / sigma^2`` with the signal A: I = 1 for Gaussian
    noise; for magnitudes it falls from 1 at high A / sigma to 0 at A = 0. It is integrated
    numerically, and interpolated to an error below 1e-10.

    References
    ----------
    Gudbjartsson H, Patz S. Magn Reson Med 1995;34:910-914. doi:10.1002/mrm.1910340618
    Karlsen OT et al. Magn Reson Med 1999;41:614-623.
    doi:10.1002/(SICI)1522-2594(199903)41:3<614::AID-MRM26>3.0.CO;2-1

    Examples
    --------
    >>> import ivimkit as ik
    >>> tissue = [1000.0, 0.1, 0.02, 1e-3]
    >>> one = ik.crlb("biexp", tissue, ik.simulate.B21, sigma=20.0)
    >>> four = ik.crlb("biexp", tissue, ik.simulate.B21, sigma=20.0, counts=[4] * 21)
    >>> bool(abs(one.sd["D"] / four.sd["D"] - 2.0) < 1e-9)
    True
    """
    the_model = models.get(model)
    values = np.asarray(params, dtype=np.float64)
    if values.ndim == 0:
        raise OptionError(
            f"params is {params!r}; expected the parameters {', '.join(the_model.names)} of model "
            f"{the_model.name}"
        )
    b = points(the_model.variables, bvals)
    share = information_share(noise, coils)
    n_volumes = _counts(counts, b.shape[-1])
    deviation = _sigma(sigma, values.shape[:-1])
    free = [
        k for k, p in enumerate(the_model.parameters)
        if not p.fixed and p.name not in the_model.fixed_maps
    ]  # fmt: skip
    n_free = len(free)
    flat = values.reshape(-1, values.shape[-1])
    covariance = np.empty((flat.shape[0], n_free, n_free))
    for start in range(0, flat.shape[0], _MAX_CURVES):
        chunk = slice(start, start + _MAX_CURVES)
        slopes = gradients(the_model, flat[chunk], b)[..., free]
        height = evaluate(the_model, flat[chunk], b) / deviation[chunk, None]
        weight = n_volumes * share(height) / deviation[chunk, None] ** 2
        fisher = np.einsum("vji,vj,vjk->vik", slopes, weight, slopes)
        covariance[chunk] = _inverse(fisher)
    names = tuple(the_model.names[k] for k in free)
    return CramerRaoBound(names, covariance.reshape(*values.shape[:-1], n_free, n_free))


def _counts(counts: ArrayLike | None, n_b: int) -> NDArray[np.float64]:
    if counts is None:
        return np.ones(n_b)
    given = np.asarray(counts, dtype=np.float64)
    if given.shape != (n_b,):
        raise ShapeError(f"counts have shape {given.shape}; expected one per b-value, ({n_b},)")
    if not (np.isfinite(given).all() and (given >= 0.0).all()):
        raise OptionError("counts must be finite and >= 0; a count of 0 leaves a b-value out")
    return given


def _sigma(sigma: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return one sigma per curve, shape (n_curves,)."""
    given = np.asarray(sigma, dtype=np.float64)
    if not (np.isfinite(given) & (given > 0.0)).all():
        raise OptionError(
            "sigma has values that are zero, negative or not finite; expected the standard "
            "deviation of the noise, > 0"
        )
    if given.ndim and given.shape != shape:
        raise ShapeError(
            f"sigma has shape {given.shape}; expected a number or one per curve, {shape}"
        )
    return np.broadcast_to(given, shape).ravel()


def information_share(
    noise: str, coils: int = 1
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return the function that gives I of A / sigma: the information in units of 1 / sigma^2.

    Parameters
    ----------
    noise : {"gaussian", "rician", "chi"}
        See `crlb`.
    coils : int
        Number of coils of noise ``"chi"``.

    Raises
    ------
    OptionError
        For an unknown noise.
    """
    check_noise_kind(noise, coils)
    if noise == "gaussian":
        return np.ones_like
    spline = _magnitude_information(int(coils))

    def share(height: NDArray[np.float64]) -> NDArray[np.float64]:
        square = height**2
        found: NDArray[np.float64] = spline(square / (square + 2.0 * coils))
        return found

    return share


@functools.cache
def _magnitude_information(coils: int) -> CubicSpline[np.float64]:
    """Return the information of a magnitude as a function of a^2 / (a^2 + 2 L), a = A / sigma.

    In that variable it is smooth from end to end: it starts as a^2 / L and ends as 1 less a
    series in 1 / a^2. The slope of the logarithm of the density, x^L exp(-(x^2 + a^2) / 2)
    I_{L-1}(a x) / a^(L-1), is x I_L(a x) / I_{L-1}(a x) - a.
    """
    y = np.linspace(0.0, 1.0, _N_KNOTS + 1)
    a = np.sqrt(2.0 * coils * y[1:-1] / (1.0 - y[1:-1]))[:, None]
    middle = np.sqrt(a**2 + 2.0 * coils - 1.0)
    low, high = np.maximum(middle - _MAX_DEVIATIONS, 0.0), middle + _MAX_DEVIATIONS
    nodes, weights = np.polynomial.legendre.leggauss(_N_NODES)
    x = low + 0.5 * (high - low) * (nodes + 1.0)
    bessel = ive(coils - 1, a * x)
    with np.errstate(divide="ignore"):
        log_density = coils * np.log(x) + np.log(bessel) - 0.5 * (x - a) ** 2
    density = weights * np.exp(log_density - log_density.max(axis=1, keepdims=True))
    score = x * np.divide(ive(coils, a * x), bessel, out=np.zeros_like(x), where=bessel > 0.0) - a
    inside = (density * score**2).sum(axis=1) / density.sum(axis=1)
    return CubicSpline(y, np.concatenate([[0.0], inside, [1.0]]))


def _inverse(fisher: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return inverses of information matrices, shape (n, p, p); inf on a singular diagonal."""
    n = fisher.shape[-1]
    finite: NDArray[np.bool_] = np.isfinite(fisher.sum(axis=(1, 2)))
    known = np.where(finite[:, None, None], fisher, 0.0)
    scale = np.sqrt(np.einsum("vii->vi", known))
    seen = scale > 0.0
    divisor = np.where(seen, scale, 1.0)
    pairs = divisor[:, :, None] * divisor[:, None, :]
    # A parameter without information is decoupled, so that the others have their inverse.
    scaled = known / pairs + np.eye(n) * ~seen[:, None, :]
    least, vectors = np.linalg.eigh(scaled)
    good = (least[:, 0] > _MIN_EIGENVALUE)[:, None, None]
    inverse = np.einsum(
        "vij,vj,vkj->vik", vectors, 1.0 / np.maximum(least, _MIN_EIGENVALUE), vectors
    )
    both = seen[:, :, None] & seen[:, None, :]
    alone = np.where(np.eye(n, dtype=bool), np.inf, np.nan)
    found: NDArray[np.float64] = np.where(good & both, inverse / pairs, alone)
    found[~finite] = np.nan
    return found
