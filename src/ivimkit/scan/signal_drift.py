"""Signal drift: how the signal of a scanner changes during a session, from images at b = 0."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import NoiseError, ShapeError
from ivimkit.scan import masks
from ivimkit.scan.dwi import DWI

__all__ = ["MAX_B", "MAX_ORDER", "SignalDrift", "measured_drift", "usual_order", "why_unseen"]

MAX_B = 20.0
"""Highest b-value of images that drift is measured from, s/mm^2: above it, the signal depends on
the flow of blood, which is not the same at each moment."""

MAX_ORDER = 2
"""Highest order of the polynomial in time."""

MIN_IMAGES = 3
"""Minimum number of images at the lowest b-value."""

_MIN_SPAN = 0.5
"""Share of the session, in volumes, that they must span."""

_MIN_VOXELS = 50
_MAX_VOXELS = 50_000
# A drift is seen if it is larger than this many standard errors, and than this share of signal.
_MIN_ERRORS, _MIN_DRIFT = 3.0, 0.005
# Standard deviation of a normal distribution by its median deviation; error of a median.
_MAD, _OF_MEDIAN = 1.4826, 1.2533
# Neighbours share noise: this many voxels count as one.
_SHARED = 2.0
# Images of one setting differ by this share of their signal without any drift: pulsation, breath.
_MIN_ERROR = 0.001


@dataclass(frozen=True, eq=False)
class SignalDrift:
    """The drift of the signal during a session.

    Parameters
    ----------
    order : int
        Of the polynomial in time.
    images : ndarray of int, shape (n_images,)
        Positions of the images that it was measured from among the volumes of the scan.
    levels : ndarray, shape (n_images,)
        Their signal relative to the fit at the first volume.
    errors : ndarray, shape (n_images,)
        Standard errors of these.
    factors : ndarray, shape (n_volumes,)
        Fitted signal of each volume relative to the first one: divide by it to correct.
    error : float
        Standard error of the change from the first to the last volume.
    """

    order: int
    images: NDArray[np.intp]
    levels: NDArray[np.float64]
    errors: NDArray[np.float64]
    factors: NDArray[np.float64]
    error: float

    @property
    def change(self) -> float:
        """Change from the first to the last volume, as a share of the signal of the first."""
        return float(self.factors[-1] - 1.0)

    @property
    def largest(self) -> float:
        """The change of the volume that changes most, with its sign."""
        return float(self.factors[np.argmax(np.abs(self.factors - 1.0))] - 1.0)

    @property
    def is_seen(self) -> bool:
        """Whether it is larger than its error, and than what matters."""
        least = max(_MIN_ERRORS * self.error, _MIN_DRIFT)
        return bool(np.isfinite(self.error)) and abs(self.largest) > least


def why_unseen(dwi: DWI, order: int = 1) -> str:
    """Return why the drift of a scan cannot be measured, in words; empty if it can.

    Parameters
    ----------
    dwi : DWI
        The scan, its volumes in the order in which they were acquired.
    order : {1, 2}
        Of the polynomial in time.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> from ivimkit.scan.signal_drift import why_unseen
    >>> why_unseen(ik.DWI(np.ones((9, 3)), [0, 100, 800]))
    'there is one image at b = 0, and a drift needs 3 spread over the session'
    """
    images, lowest = _images(dwi)
    least = max(MIN_IMAGES, order + 1)
    if lowest > MAX_B:
        return f"the lowest b-value is {lowest:g}, and images near b = 0 are needed"
    if images.size < least:
        there = "is one image" if images.size == 1 else f"are {images.size} images"
        return (
            f"there {there} at b = {lowest:g}, and a drift needs {least} spread over the session"
        )
    last = len(dwi.volumes) - 1
    if np.ptp(images) < _MIN_SPAN * last:
        place = float(images.mean()) / last
        where = "start" if place < 1 / 3 else "end" if place > 2 / 3 else "middle"
        return (
            f"all {images.size} images at b = {lowest:g} are near the {where} of the session, and "
            "a drift needs some at its start and its end"
        )
    return ""


def usual_order(dwi: DWI) -> int:
    """Return the order of the polynomial for a scan: one image more than it needs checks the fit.

    Parameters
    ----------
    dwi : DWI
        The scan.
    """
    return min(MAX_ORDER, max(1, _images(dwi)[0].size - 2))


def measured_drift(dwi: DWI, order: int = 1) -> SignalDrift:
    """Measure the drift of a scan from its images at the lowest b-value.

    Each of them is compared with their mean: the median over voxels of the body, so that neither
    flow nor a slice without signal counts. A polynomial in the number of the volume is fitted to
    these.

    Parameters
    ----------
    dwi : DWI
        The scan, its volumes in the order in which they were acquired; `why_unseen` is empty.
    order : {1, 2}
        Of the polynomial.

    Returns
    -------
    SignalDrift

    Raises
    ------
    NoiseError
        If too few voxels have a signal.

    References
    ----------
    Vos et al. 2017, doi:10.1002/mrm.26124

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.scan.signal_drift import measured_drift
    >>> falls = ik.simulate.Artefacts(drift=ik.simulate.Drift(5))
    >>> b = [0, 10, 50, 0, 100, 200, 0, 400, 800, 0]
    >>> made = ik.simulate.phantom(shape=(32, 24, 2), bvals=b, artefacts=falls)
    >>> round(measured_drift(made.dwi).change, 2)
    -0.05
    """
    images, _ = _images(dwi)
    ratios = _ratios(dwi, images)
    levels = np.median(ratios, axis=0)
    spread = _MAD * np.median(np.abs(ratios - levels), axis=0)
    errors = np.hypot(_OF_MEDIAN * spread / np.sqrt(len(ratios) / _SHARED), _MIN_ERROR)
    n_volumes = len(dwi.volumes)
    time = np.arange(n_volumes) / (n_volumes - 1)
    powers = np.vander(time, order + 1, increasing=True)
    design = powers[images] / errors[:, np.newaxis]
    weighted = levels / errors
    coefficients, *_ = np.linalg.lstsq(design, weighted, rcond=None)
    covariance = np.linalg.pinv(design.T @ design)
    degrees = images.size - order - 1
    if degrees > 0:
        # Images differ by more than noise: what the polynomial leaves is an error, too.
        left = float(((weighted - design @ coefficients) ** 2).sum()) / degrees
        covariance = covariance * max(left, 1.0)
    fitted = powers @ coefficients
    factors = fitted / fitted[0]
    where = int(np.argmax(np.abs(factors - 1.0)))
    across = powers[where] - powers[0]
    error = float(np.sqrt(across @ covariance @ across)) / float(fitted[0])
    return SignalDrift(order, images, levels / fitted[0], errors / fitted[0], factors, error)


def _images(dwi: DWI) -> tuple[NDArray[np.intp], float]:
    """Return the positions of the volumes of the lowest b-value that are used, and it."""
    used = np.flatnonzero(dwi.used_volumes)
    shell = dwi.acquisition.shell_of_volume
    b = dwi.acquisition.bvals
    first = shell[used[np.argmin(b[used])]]
    found = used[shell[used] == first]
    return found, float(b[found].min())


def _ratios(dwi: DWI, images: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the signal of images divided by their mean in voxels of the body."""
    body = dwi
    if dwi.mask.all():
        with contextlib.suppress(ShapeError):
            body = masks.masked(dwi, "body")
    reader = body.with_average("none").voxels()
    if reader.n_voxels > _MAX_VOXELS:
        reader = reader.take(np.linspace(0, reader.n_voxels - 1, _MAX_VOXELS).astype(np.intp))
    values = np.empty((reader.n_voxels, reader.n_columns))
    reader.read(0, reader.n_voxels, values)
    values = values[:, images]
    mean = values.mean(axis=1)
    # Of dark voxels, the signal is noise.
    with np.errstate(invalid="ignore"):
        bright = np.isfinite(mean) & (mean > 0.2 * np.nanmedian(mean)) & (mean > 0.0)
    if np.count_nonzero(bright) < _MIN_VOXELS:
        raise NoiseError(
            f"{np.count_nonzero(bright)} voxels have a signal in all images of the lowest b; "
            f"expected {_MIN_VOXELS} or more to measure the drift from. Look at the mask"
        )
    return np.asarray(values[bright] / mean[bright, np.newaxis])
