"""The digital abdomen: liver with a lesion, kidneys, spleen, pancreas, vessels, muscle."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ivimkit import organs
from ivimkit.simulate.anatomy import Anatomy, Ellipsoid, paint
from ivimkit.simulate.breathing import breath
from ivimkit.simulate.sample_points import SamplePoints
from ivimkit.simulate.tissue import REFERENCE_S0, Tissue, ivim_tissue, with_anisotropy

__all__ = ["ABDOMEN"]

_LESION = (
    "chosen for the contrast of the carcinoma in Yoon et al. 2014, doi:10.1002/jmri.24158: "
    "ADC slightly, D clearly below the liver; not the mean of a study"
)
_SPLEEN_SOURCE = f"{organs.WURNIG_2018}; f: {organs.TYPICAL}"
_MEDULLA = f"{organs.VAN_BAALEN_2017}, medulla, rounded"
_BLOOD = "assumed: flowing blood, almost all of it dephased at b = 50"


def _of_organ(name: str, organ_name: str, s0: float) -> Tissue:
    organ = organs.get(organ_name)
    source = "; ".join(dict.fromkeys(organ.sources.values()))
    made = ivim_tissue(name, s0, organ.means["f"], organ.means["D_star"], organ.means["D"], source)
    return replace(made, further=organ.further)


_ISOTROPIC = (
    _of_organ("liver", "liver", REFERENCE_S0),
    ivim_tissue("lesion", 1300.0, 0.36, 50e-3, 0.80e-3, _LESION),
    _of_organ("kidney cortex", "kidney", 1700.0),
    ivim_tissue("kidney medulla", 2000.0, 0.16, 19e-3, 2.1e-3, _MEDULLA),
    ivim_tissue("spleen", 1500.0, 0.10, 70e-3, 0.91e-3, _SPLEEN_SOURCE),
    _of_organ("pancreas", "pancreas", 1150.0),
    ivim_tissue("vessel", 1400.0, 0.90, 100e-3, 1.8e-3, _BLOOD),
    _of_organ("muscle", "muscle", 650.0),
)
# Fractional anisotropy and axis: tubules run to the middle of a kidney, muscles along the spine.
_ALONG = {
    "kidney cortex": (0.15, (1, 0, 0)),
    "kidney medulla": (0.40, (1, 0, 0)),
    "muscle": (0.30, (0, 0, 1)),
}
_TISSUES = tuple(
    with_anisotropy(tissue, *_ALONG.get(tissue.name, (0.0, (0, 0, 1)))) for tissue in _ISOTROPIC
)
_LIVER, _LESION_LABEL, _CORTEX, _MEDULLA_LABEL, _SPLEEN, _PANCREAS, _VESSEL, _MUSCLE = range(1, 9)
_CAVITY = 255
"""Fat, gut and bone: no signal in a fat-suppressed scan. Becomes 0 at the end."""

_LONG = 1e4
"""Half axis, in mm, of structures that run through all slices."""

_WALL = (Ellipsoid((0, 0, 0), (160, 100, _LONG)),)
_INSIDE = (Ellipsoid((0, 4, 0), (147, 87, _LONG)),)
_BACK = (
    Ellipsoid((-34, -72, 0), (30, 20, _LONG), 12),
    Ellipsoid((34, -72, 0), (30, 20, _LONG), -12),
    Ellipsoid((-31, -46, 0), (11, 15, _LONG)),
    Ellipsoid((31, -46, 0), (11, 15, _LONG)),
)
_SPINE = (Ellipsoid((0, -48, 0), (21, 17, _LONG)), Ellipsoid((0, -73, 0), (8, 10, _LONG)))
_LIVER_BODY = (
    Ellipsoid((-76, 6, 0), (70, 72, 90)),
    Ellipsoid((-22, 40, 10), (62, 30, 70), -12),
)
_TUMOUR = (Ellipsoid((-98, 16, 0), (16, 16, 16)),)
"""A sphere of 3.2 cm."""

_SPLEEN_BODY = (Ellipsoid((112, -22, 10), (21, 46, 60), 14),)
_PANCREAS_BODY = (
    Ellipsoid((-6, 0, -8), (15, 12, 34)),
    Ellipsoid((22, 10, 0), (26, 9, 30), 18),
    Ellipsoid((58, 8, 6), (26, 9, 28), -20),
)
_GREAT_VESSELS = (
    Ellipsoid((10, -21, 0), (10, 10, _LONG)),
    Ellipsoid((-21, -20, 0), (13, 10, _LONG)),
    Ellipsoid((-36, 12, 4), (18, 7, 24), 25),
)
_LIVER_VESSELS = (
    Ellipsoid((-52, 40, 10), (28, 5, 22), 35),
    Ellipsoid((-80, -22, -8), (28, 5, 22), -25),
    Ellipsoid((-66, 6, 4), (18, 4, 16), 8),
)
_KIDNEYS = (
    Ellipsoid((-64, -46, -14), (28, 24, 56), 25),
    Ellipsoid((66, -46, -6), (28, 24, 56), -25),
)


def _scaled(body: Ellipsoid, factor: float, extra: float = 0.0) -> Ellipsoid:
    a, b, c = (factor * radius + extra for radius in body.radii)
    return Ellipsoid(body.center, (a, b, c), body.turned)


def _pyramids(kidney: Ellipsoid) -> tuple[Ellipsoid, ...]:
    """Return the medulla: wedges around the sinus, in five layers."""
    wedges = []
    for layer in (-36.0, -18.0, 0.0, 18.0, 36.0):
        shrink = math.sqrt(1 - (layer / kidney.radii[2]) ** 2)
        for angle in (20, 80, 140, 200, 260, 320):
            direction = math.radians(angle + kidney.turned)
            center = (
                kidney.center[0] + 0.55 * shrink * kidney.radii[0] * math.cos(direction),
                kidney.center[1] + 0.55 * shrink * kidney.radii[1] * math.sin(direction),
                kidney.center[2] + layer,
            )
            radii = (6.5 * shrink, 4.5 * shrink, 8.0)
            wedges.append(Ellipsoid(center, radii, math.degrees(direction)))
    return tuple(wedges)


_FAT_AROUND_KIDNEYS = tuple(_scaled(kidney, 1.0, 4.0) for kidney in _KIDNEYS)
_SINUSES = tuple(_scaled(kidney, 0.30) for kidney in _KIDNEYS)
_PYRAMIDS = tuple(pyramid for kidney in _KIDNEYS for pyramid in _pyramids(kidney))


def _label_at(points: SamplePoints) -> NDArray[np.uint8]:
    labels = np.zeros(points.shape, dtype=np.uint8)
    paint(labels, points, _MUSCLE, _WALL)
    paint(labels, points, _CAVITY, _INSIDE)
    paint(labels, points, _MUSCLE, _BACK, over=(_CAVITY,))
    paint(labels, points, _CAVITY, _SPINE)
    paint(labels, points, _LIVER, _LIVER_BODY, over=(_CAVITY,))
    paint(labels, points, _VESSEL, _LIVER_VESSELS, over=(_LIVER,))
    paint(labels, points, _LESION_LABEL, _TUMOUR, over=(_LIVER,))
    paint(labels, points, _SPLEEN, _SPLEEN_BODY, over=(_CAVITY,))
    paint(labels, points, _CAVITY, _FAT_AROUND_KIDNEYS, over=(_LIVER, _SPLEEN))
    paint(labels, points, _CORTEX, _KIDNEYS, over=(_CAVITY,))
    paint(labels, points, _MEDULLA_LABEL, _PYRAMIDS, over=(_CORTEX,))
    paint(labels, points, _CAVITY, _SINUSES)
    paint(labels, points, _PANCREAS, _PANCREAS_BODY, over=(_CAVITY,))
    paint(labels, points, _VESSEL, _GREAT_VESSELS)
    labels[labels == _CAVITY] = 0
    return labels


ABDOMEN = Anatomy(
    "abdomen", _TISSUES, (340.0, 216.0), 120.0, 6.0, _label_at, _LIVER, _TISSUES[1], breath
)
"""Upper abdomen, at the level of the kidneys."""
