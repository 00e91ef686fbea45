"""Contender: one bi-exponential fit method of one package, ready to be measured.

Only NumPy is imported here: contenders also run in the environments of other packages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["EASY", "Answer", "Contender", "Fit"]

EASY = {"f": (0.08, 0.18), "D_star": (40e-3, 80e-3), "D": (0.7e-3, 1.8e-3)}
"""True values without blood signal above b = 200, within the bounds of every package."""


@dataclass(frozen=True)
class Answer:
    """The result of a package for some voxels.

    Parameters
    ----------
    params : ndarray, shape (n_voxels, 4)
        S0, f, D* and D (mm^2/s), D* in the convention of the package; NaN where there is none.
    flagged : ndarray of bool, shape (n_voxels,), optional
        Where the package itself reports a problem, whatever it is. None if it has no way to do so.
    """

    params: NDArray[np.float64]
    flagged: NDArray[np.bool_] | None = None


Fit = Callable[[NDArray[np.float64]], Answer]
"""Takes signals, shape (n_voxels, n_b)."""


@dataclass(frozen=True)
class Contender:
    """One fit method of one package; ``benchmarks/contenders`` has a file for each package.

    Parameters
    ----------
    name : str
        Unique name for command lines: ``package-method``.
    label : str
        Name for tables.
    package : str
        Name to install the package by; its version is read when it runs.
    module : str
        Name to import it by.
    install : str
        The command that installs it.
    convention : str
        Its definition of D*, a name in `ivimkit.conventions`.
    bounds : dict of str to tuple of float
        Its bounds of f, D_star and D (mm^2/s), D_star as defined by ivimkit.
    pace : float
        Approximate voxels per second on one core: slow contenders get fewer voxels.
    make : callable
        Takes b-values, shape (n_b,), and returns the `Fit` for them. The package is imported here.
    estimates : tuple of str
        Those of f, D_star and D that it estimates.
    checked : dict of str to tuple of float
        Ranges of the true f, D_star and D (mm^2/s) that it has to recover from noise-free signals
        before its times count. The defaults suit segmented fits and all bounds.
    tolerance : float
        Maximum median relative error of that; a larger one indicates incorrect use.
    note : str
        A remark for readers.
    needs : tuple of str
        Additional required modules.
    """

    name: str
    label: str
    package: str
    module: str
    install: str
    convention: str
    bounds: dict[str, tuple[float, float]]
    pace: float
    make: Callable[[NDArray[np.float64]], Fit] = field(repr=False)
    estimates: tuple[str, ...] = ("D", "f", "D_star")
    checked: dict[str, tuple[float, float]] = field(default_factory=lambda: dict(EASY))
    tolerance: float = 1e-3
    note: str = ""
    needs: tuple[str, ...] = ()
