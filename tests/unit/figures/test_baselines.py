"""A few figures as they were when somebody looked at them.

What is drawn is compared number by number elsewhere; here that it looks right: nothing overlaps,
colours, sizes and places are what they were. Run this file to draw the baselines anew, and look
at each before it is committed.
"""

import io
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from ivimkit import quality, report, simulate
from ivimkit.scan.dwi import DWI
from ivimkit.status import FitStatus
from made_results import made_result
from tolerances import SAME_PICTURE, SIMILAR_PICTURE

pytestmark = pytest.mark.drawn
DRAWN_WITH = "3.11."
"""Version of matplotlib that drew the baselines: others put letters and voxels a pixel away."""

LIMIT = SAME_PICTURE if matplotlib.__version__.startswith(DRAWN_WITH) else SIMILAR_PICTURE
BASELINES = Path(__file__).parent / "baselines"
DPI = 80
BLOCK = 4
B = [0, 10, 20, 50, 100, 200, 400, 800]


@cache
def phantom():
    """Return a result that no fit has made, with its scan: the truth of a phantom."""
    made = simulate.phantom(shape=(48, 36, 6), bvals=B)
    maps = {name: values.astype(float) for name, values in made.truth.items()}
    maps["ADC"] = maps["D"] * (1 + 1.5 * maps["f"])
    maps["fD_star"] = maps["f"] * maps["D_star"]
    status = np.where(np.isfinite(maps["S0"]), 0, 1)
    result = made_result(maps, status=status, affine=made.dwi.affine)
    mask = result.mask
    return replace(result, dwi=DWI(made.dwi.signal, B, made.dwi.affine, mask)), made


def lesion(**options):
    result, made = phantom()
    around = quality.ring(
        made.region("lesion"), result.geometry.voxel_size, gap=4, width=8, within=result.mask
    )
    return report.lesion_panels(result, made.region("lesion"), reference=around, **options)


def mosaic():
    result, _ = phantom()
    return report.mosaic(result, "D")


def unreliable():
    """Maps with one region whose D is doubtful, and single voxels whose D* is."""
    result, made = phantom()
    status = result.status.copy()
    status[made.region("lesion")] |= int(FitStatus.TISSUE_NOT_DETECTED)
    liver = np.flatnonzero(made.region("liver"))
    status.ravel()[liver[::3]] |= int(FitStatus.PERFUSION_NOT_DETECTED)
    return report.map_panels(replace(result, status=status), maps=["D", "D_star"], slices=3)


def residuals():
    result, _ = phantom()
    signal = result.dwi.signal.copy()
    signal[..., 6] *= 1.1
    return report.residual_panels(quality.residuals(result, DWI(signal, B, mask=result.mask)))


def differences():
    result, _ = phantom()
    other = replace(result, maps={**result.maps, "D": 1.2 * result.maps["D"]})
    return report.difference_panels(quality.difference(result, other), maps=["D", "f"])


def curves():
    params = {"liver": [1000, 0.3, 0.07, 1.1e-3], "lesion": [1200, 0.15, 0.04, 0.8e-3]}
    b = np.array(B, dtype=float)
    rough = 1 + 0.02 * np.cos(np.arange(b.size))
    return report.region_curves(
        [
            report.RegionCurve(
                name,
                b,
                simulate.signals("biexp", p, b) * rough,
                0.1 * simulate.signals("biexp", p, b),
                partial(simulate.signals, "biexp", p),
                321,
            )
            for name, p in params.items()
        ]
    )


FIGURES = {
    "lesion": partial(lesion, marks="both"),
    "mosaic": mosaic,
    "residuals": residuals,
    "differences": differences,
    "curves": curves,
    "unreliable": unreliable,
}


def blocks(data):
    """Return the picture in blocks of a few pixels, between which letters may move."""
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=float)
    rows, columns = (n // BLOCK * BLOCK for n in pixels.shape[:2])
    cut = pixels[:rows, :columns].reshape(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK, 3)
    return cut.mean(axis=(1, 3))


def distance(first, second):
    """Return the root mean square of the differences of blocks, of 255 levels."""
    one, other = blocks(first), blocks(second)
    assert one.shape == other.shape
    return np.sqrt(((one - other) ** 2).mean())


@pytest.mark.parametrize("name", FIGURES)
def test_looks_as_it_did(name):
    drawn = report.Picture(FIGURES[name]()).png(dpi=DPI)
    assert distance(drawn, (BASELINES / f"{name}.png").read_bytes()) < LIMIT


@pytest.mark.skipif(LIMIT > SAME_PICTURE, reason=f"needs matplotlib {DRAWN_WITH}x")
def test_what_is_missing_is_seen():
    baseline = (BASELINES / "lesion.png").read_bytes()
    for marks in ("arrowheads", "contour"):
        drawn = report.Picture(lesion(marks=marks)).png(dpi=DPI)
        assert distance(drawn, baseline) > SAME_PICTURE


if __name__ == "__main__":
    for name, draw in FIGURES.items():
        (BASELINES / f"{name}.png").write_bytes(report.Picture(draw()).png(dpi=DPI))
