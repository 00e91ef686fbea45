"""Draw the pictures of steps before the fit: `python docs/make_preprocessing_images.py`."""

from __future__ import annotations

from make_images import IMAGES, save
from matplotlib.figure import Figure

import ivimkit as ik
from ivimkit.fitting.screening import Screening
from ivimkit.simulate import B13, Artefacts, Dropouts, Motion

SHAPE = (96, 62, 16)
SNR = 25
MAPS = ["D", "f", "D_star"]


def main() -> None:
    """Draw what alignment, following and leaving out do to a digital abdomen."""
    IMAGES.mkdir(exist_ok=True)
    rigid = moved("rigid", 5)
    aligned = ik.preprocess(rigid.dwi, "align")
    save(ik.report.motion_panels(aligned.dwi.history), "motion")
    save(followed(moved("breathing", 7)), "follow")
    drop_outs()


def moved(kind: str, mm: float) -> ik.simulate.Phantom:
    """Return an abdomen whose volumes were moved."""
    moving = Artefacts(motion=Motion(kind, mm=mm))
    return ik.simulate.phantom(shape=SHAPE, bvals=B13, snr=SNR, artefacts=moving)


def followed(made: ik.simulate.Phantom) -> Figure:
    """Return maps of a breathing abdomen: as acquired, aligned, and followed."""
    body = made.labels > 0
    results = {"truth": made.truth}
    for name, steps in (("as acquired", ""), ("align", "align"), ("follow", "align,follow")):
        dwi = ik.preprocess(made.dwi, steps).dwi if steps else made.dwi
        results[name] = ik.fit(dwi.with_mask(body))
    return compared(results, 8, "breathing of 7 mm")


def drop_outs() -> None:
    """Draw the grid of slices and volumes, and maps of a slice with drop-outs."""
    faults = Artefacts(dropouts=Dropouts())
    made = ik.simulate.phantom(shape=SHAPE, bvals=B13, snr=SNR, artefacts=faults)
    kept = ik.preprocess(made.dwi, "outliers")
    screening = Screening.of_numbers(kept.records[0].numbers)
    save(ik.report.screening_panels(screening), "outliers")
    body = made.labels > 0
    results = {
        "truth": made.truth,
        "as acquired": ik.fit(made.dwi.with_mask(body)),
        "outliers": ik.fit(kept.dwi.with_mask(body)),
    }
    slices = kept.dwi.value_weights.min(axis=(0, 1)) == 0
    worst = int(slices.sum(axis=-1).argmax())
    save(compared(results, worst, "a slice with drop-outs"), "dropouts")


def compared(results: dict[str, object], place: int, title: str) -> Figure:
    """Return the maps of one slice, side by side."""
    limits = ik.organs.get("liver").display
    return ik.report.compare_methods(
        results, slice=place, maps=MAPS, limits=limits, title=f"abdomen phantom, {title}"
    )


if __name__ == "__main__":
    main()
