"""Diffusion tensors: from the parameters of a fit to matrices, and what is invariant of them.

The parameters are those of `ivimkit.kernels.separable.tensor_atom`: the mean diffusivity MD, and
the elements yy, zz, yx, zx and zy of the lower triangular matrix L in D = 3 MD L L' / |L|^2.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "along_axis",
    "eigenvalues",
    "fractional_anisotropy",
    "parameters_of",
    "principal_direction",
    "tensor_candidates",
    "tensors",
]

# Where the parameters after MD stand in L.
_PLACES = ((1, 1), (2, 2), (1, 0), (2, 0), (2, 1))
# Candidates: isotropic tensors of so many sizes; others are longer along one axis by a factor, and
# have fewer sizes, from the first to the second share of the largest.
_N_ISOTROPIC, _N_LONGER = 40, 8
_LONGER = 4.0
_SIZES = (0.04, 0.64)
# Least ratio of a mean diffusivity to the greatest one, where the lower bound is 0.
_SMALL = 1e-3


def tensors(*parameters: ArrayLike) -> NDArray[np.float64]:
    """Return the tensors of parameters, shape (..., 3, 3), in the unit of MD.

    Parameters
    ----------
    *parameters : array_like, shape (...)
        MD, and the elements yy, zz, yx, zx and zy of L, whose element xx is 1.

    Examples
    --------
    >>> from ivimkit.extend.diffusion_tensor import tensors
    >>> tensors(1.0, 1.0, 1.0, 0.0, 0.0, 0.0).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    triangle, size = _scaled_root(parameters)
    return np.asarray(size[..., None, None] * (triangle @ np.swapaxes(triangle, -1, -2)))


def _scaled_root(
    parameters: tuple[ArrayLike, ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return L, and the factor on L L' that gives the trace 3 MD."""
    own = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in parameters))
    triangle = np.zeros((*own[0].shape, 3, 3))
    triangle[..., 0, 0] = 1.0
    for values, (i, k) in zip(own[1:], _PLACES, strict=True):
        triangle[..., i, k] = values
    return triangle, 3.0 * own[0] / (triangle**2).sum(axis=(-2, -1))


def parameters_of(matrices: ArrayLike) -> NDArray[np.float64]:
    """Return MD, yy, zz, yx, zx and zy of positive definite tensors, shape (..., 6).

    The inverse of `tensors`.

    Parameters
    ----------
    matrices : array_like, shape (..., 3, 3)
        The tensors.

    Raises
    ------
    numpy.linalg.LinAlgError
        If one of them is not positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit.extend.diffusion_tensor import parameters_of
    >>> parameters_of(np.diag([1e-3, 1e-3, 4e-3])).round(6).tolist()
    [0.002, 1.0, 2.0, 0.0, 0.0, 0.0]
    """
    given = np.asarray(matrices, dtype=np.float64)
    root = np.linalg.cholesky(given)
    root = root / root[..., :1, :1]
    mean = np.trace(given, axis1=-2, axis2=-1) / 3.0
    return np.stack([mean, *(root[..., i, k] for i, k in _PLACES)], axis=-1)


def _decomposed(
    parameters: tuple[ArrayLike, ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return eigenvalues, the largest first, and eigenvectors; NaN where a parameter is.

    From the singular values of L: squares are positive, however small they are.
    """
    own = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in parameters))
    good = np.isfinite(own).all(axis=0)
    values = np.full((*good.shape, 3), np.nan)
    vectors = np.full((*good.shape, 3, 3), np.nan)
    root, size = _scaled_root(tuple(v[good] for v in own))
    vectors[good], singular, _ = np.linalg.svd(root)
    values[good] = size[..., None] * singular**2
    return values, vectors


def eigenvalues(*parameters: ArrayLike) -> NDArray[np.float64]:
    """Return the eigenvalues of tensors, the largest first, shape (..., 3).

    Parameters
    ----------
    *parameters : array_like, shape (...)
        MD, yy, zz, yx, zx and zy; voxels where one is not finite are NaN.

    Examples
    --------
    >>> from ivimkit.extend.diffusion_tensor import eigenvalues
    >>> eigenvalues(2.0, 1.0, 2.0, 0.0, 0.0, 0.0).round(6).tolist()
    [4.0, 1.0, 1.0]
    """
    return _decomposed(parameters)[0]


def fractional_anisotropy(*parameters: ArrayLike) -> NDArray[np.float64]:
    """Return the fractional anisotropy of tensors, 0 to 1, shape (...).

    With |D| the root of the sum of squared elements it is |D - MD| / |D| times the root of 3/2.

    Parameters
    ----------
    *parameters : array_like, shape (...)
        MD, yy, zz, yx, zx and zy; MD has no influence.

    Examples
    --------
    >>> from ivimkit.extend.diffusion_tensor import fractional_anisotropy
    >>> fractional_anisotropy(2.0, 1.0, 2.0, 0.0, 0.0, 0.0).round(6).tolist()
    0.707107
    """
    scaled = tensors(1.0, *parameters[1:])
    squares = (scaled**2).sum(axis=(-2, -1))
    # The trace is 3, so that the squared norm without the mean is 3 less.
    return np.asarray(np.sqrt(1.5 * np.maximum(squares - 3.0, 0.0) / squares))


def principal_direction(*parameters: ArrayLike) -> NDArray[np.float64]:
    """Return the unit vector along which diffusion is fastest, shape (..., 3).

    Its sign means nothing; the component that is largest is positive.

    Parameters
    ----------
    *parameters : array_like, shape (...)
        MD, yy, zz, yx, zx and zy; voxels where one is not finite are NaN.

    Examples
    --------
    >>> from ivimkit.extend.diffusion_tensor import principal_direction
    >>> principal_direction(2.0, 1.0, 2.0, 0.0, 0.0, 0.0).round(6).tolist()
    [0.0, 0.0, 1.0]
    """
    first = _decomposed(parameters)[1][..., 0]
    largest = np.take_along_axis(first, np.abs(first).argmax(axis=-1)[..., None], axis=-1)
    return np.asarray(first * np.sign(largest) + 0.0)


def along_axis(anisotropy: float, axis: ArrayLike) -> NDArray[np.float64]:
    """Return yy, zz, yx, zx and zy of a tensor that is longer along an axis, shape (5,).

    With eigenvalues of MD (1 + 2 a) along the axis and MD (1 - a) across it, the fractional
    anisotropy is 3 a / sqrt(3 + 6 a^2).

    Parameters
    ----------
    anisotropy : float
        Fractional anisotropy, 0 to less than 1.
    axis : array_like, shape (3,)
        Direction, of any length.

    Examples
    --------
    >>> from ivimkit.extend.diffusion_tensor import along_axis, fractional_anisotropy
    >>> fractional_anisotropy(1.0, *along_axis(0.4, (1, 1, 0))).round(6).tolist()
    0.4
    """
    a = anisotropy / np.sqrt(3.0 - 2.0 * anisotropy**2)
    unit = np.asarray(axis, dtype=np.float64) / np.linalg.norm(axis)
    return parameters_of((1.0 - a) * np.eye(3) + 3.0 * a * np.outer(unit, unit))[1:]


def tensor_candidates(
    lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return tensors from which the dictionary of a fit is chosen, shape (n, 6).

    A grid over six parameters has too many points, and few are needed: from the right mean
    diffusivity, and a direction that is roughly right, a descent finds the tensor. So these are
    isotropic ones of all sizes, and some that are longer along an axis, of the thirteen of a cube.

    Parameters
    ----------
    lower, upper : ndarray, shape (6,)
        Bounds of MD, yy, zz, yx, zx and zy.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit.extend.diffusion_tensor import tensor_candidates
    >>> low, high = np.array([0, 0.05, 0.05, -9, -9, -9]), np.array([5e-3, 20, 20, 9, 9, 9])
    >>> tensor_candidates(low, high).shape
    (144, 6)
    """
    # Evenly in MD, as in D: that is nearly even in what a signal tells.
    least, most = float(lower[0]), float(upper[0])
    alike = np.tile(parameters_of(np.eye(3)), (_N_ISOTROPIC, 1))
    alike[:, 0] = np.linspace(max(least, _SMALL * most), most, _N_ISOTROPIC)
    cube = np.array([d for d in itertools.product((-1, 0, 1), repeat=3) if d > (0, 0, 0)])
    axes = cube / np.linalg.norm(cube, axis=1, keepdims=True)
    along = axes[:, :, None] * axes[:, None, :]
    forms = parameters_of(np.eye(3) + (_LONGER - 1.0) * along)
    longer = np.tile(forms, (_N_LONGER, 1))
    sizes = least + (most - least) * np.linspace(*_SIZES, _N_LONGER)
    longer[:, 0] = np.repeat(sizes, len(forms))
    return np.concatenate([alike, longer])
