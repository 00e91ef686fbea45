"""The digital brain: folded grey matter, white matter, cerebrospinal fluid."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit import organs
from ivimkit.simulate.anatomy import Anatomy, Ellipsoid, paint
from ivimkit.simulate.sample_points import SamplePoints
from ivimkit.simulate.tissue import REFERENCE_S0, as_fluid, ivim_tissue, with_anisotropy

__all__ = ["BRAIN"]

_WATER = "free water at 37 degrees C, rounded; no perfusion"

_TISSUES = (
    with_anisotropy(
        ivim_tissue("grey matter", REFERENCE_S0, 0.044, 84e-3, 0.81e-3, organs.RYDHOG_2014),
        0.15,
        (0, 0, 1),
    ),
    with_anisotropy(
        ivim_tissue("white matter", 800.0, 0.033, 76e-3, 0.86e-3, organs.RYDHOG_2014),
        0.45,
        (0, 1, 0),
    ),
    with_anisotropy(
        as_fluid(ivim_tissue("CSF", 2500.0, 0.0, math.nan, 3.0e-3, _WATER)), 0.0, (0, 0, 1)
    ),
)
_GREY, _WHITE, _CSF = 1, 2, 3

_RADII = (69.0, 87.0, 76.0)
_VENTRICLES = (
    Ellipsoid((-10, 18, 8), (6, 22, 14), -14),
    Ellipsoid((10, 18, 8), (6, 22, 14), 14),
    Ellipsoid((-13, -16, 10), (6, 26, 12), 12),
    Ellipsoid((13, -16, 10), (6, 26, 12), -12),
    Ellipsoid((0, 0, -8), (3, 12, 12)),
)
_NUCLEI = (
    Ellipsoid((-18, 18, 4), (7, 13, 14), -20),
    Ellipsoid((18, 18, 4), (7, 13, 14), 20),
    Ellipsoid((-28, 4, 0), (7, 18, 14), -8),
    Ellipsoid((28, 4, 0), (7, 18, 14), 8),
    Ellipsoid((-11, -10, 2), (8, 13, 10), 25),
    Ellipsoid((11, -10, 2), (8, 13, 10), -25),
)


def _label_at(points: SamplePoints) -> NDArray[np.uint8]:
    labels = np.zeros(points.shape, dtype=np.uint8)
    window = points.window((0.0, 0.0, 0.0), (_RADII[0], _RADII[1], math.inf))
    if window is not None:
        labels[window] = _cortex(*points.at(window))
    paint(labels, points, _GREY, _NUCLEI, over=(_WHITE,))
    paint(labels, points, _CSF, _VENTRICLES, over=(_WHITE, _GREY))
    return labels


def _cortex(
    u: NDArray[np.float32], v: NDArray[np.float32], w: NDArray[np.float32] | float
) -> NDArray[np.uint8]:
    """Fold the cortex: the depth of sulci and of white matter follows a wave along the surface."""
    a, b, c = _RADII
    r = np.sqrt((u / a) ** 2 + (v / b) ** 2 + np.asarray((w / c) ** 2, dtype=np.float32))
    angle = np.arctan2(v / b, np.abs(u) / a)
    tilt = np.asarray(w / 9.0, dtype=np.float32)
    wave = np.sin(21 * angle + tilt + 1.6 * np.sin(5 * angle - 0.6 * tilt) + 6 * r)
    # The two hemispheres meet at a fissure filled with CSF, made uneven by the wave.
    fissure = np.abs(u) - (1.0 + 0.8 * wave)
    sulcus = np.clip(-0.72 - wave, 0, 0.28) / np.float32(0.28)
    pial = np.float32(0.97) - np.float32(0.15) * np.sqrt(sulcus)
    white = np.float32(0.81) + np.float32(0.085) * wave
    labels = np.zeros(r.shape, dtype=np.uint8)
    labels[r <= 1] = _CSF
    labels[(r <= pial) & (fissure > 0)] = _GREY
    inner = (r <= white) & ((fissure > 5) | (r < np.float32(0.45)))
    labels[inner] = _WHITE
    return labels


_LESION = ivim_tissue(
    "lesion",
    800.0,
    0.09,
    30e-3,
    0.70e-3,
    "chosen: D below, f above that of white matter, D* slow; not the mean of a study",
)

BRAIN = Anatomy("brain", _TISSUES, (178.0, 214.0), 108.0, 4.0, _label_at, _WHITE, _LESION)
"""Cerebrum, through the lateral ventricles."""
