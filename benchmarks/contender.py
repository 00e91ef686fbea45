"""Contender: one way of one package to fit the bi-exponential model, ready to be measured.

Nothing but NumPy is imported here: contenders also run in environments of other packages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["EASY", "Answer", "Contender", "Fit"]

EASY = {"f": (0.08, 0.18), "D_star": (40e-3, 80e-3), "D": (0.7e-3, 1.8e-3)}
"""True values that leave no blood above b = 200 and lie inside the bounds of every package."""


@dataclass(frozen=True)
class Answer:
    """What a package says of some voxels.

    Parameters
    ----------
    params : ndarray, shape (n_voxels, 4)
        S0, f, D* and D (mm^2/s), D* in the package's own convention; NaN where there is none.
    flagged : ndarray of bool, shape (n_voxels,), optional
        Where the package itself says that something is wrong, whatever it is. None if it has no
        way to say so.
    """

    params: NDArray[np.float64]
    flagged: NDArray[np.bool_] | None = None


Fit = Callable[[NDArray[np.float64]], Answer]
"""Takes signals, shape (n_voxels, n_b)."""


@dataclass(frozen=True)
class Contender:
    """One way of one package to fit; ``benchmarks/contenders`` has a file for each package.

    Parameters
    ----------
    name : str
        Unique, for command lines: ``package-method``.
    label : str
        For tables.
    package : str
        The name that the package is installed by; its version is read when it runs.
    module : str
        The name that it is imported by.
    install : str
        The command that installs it.
    convention : str
        What its D* means, a name of `ivimkit.conventions`.
    bounds : dict of str to tuple of float
        Its bounds of f, D_star and D (mm^2/s), D_star as ivimkit means it.
    pace : float
        Voxels per second of one core, roughly: slow contenders get fewer voxels.
    make : callable
        Takes b-values, shape (n_b,), and returns the `Fit` for them. Here the package is
        imported.
    estimates : tuple of str
        Which of f, D_star and D it gives.
    checked : dict of str to tuple of float
        Ranges of the true f, D_star and D (mm^2/s) of the noise-free signals that it has to give
        back before its times count. The usual ones suit segmented fits and all bounds.
    tolerance : float
        Largest median relative error there; more, and it is not used as it should be.
    note : str
        What to know of it.
    needs : tuple of str
        Further modules, without which it does not run.
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
