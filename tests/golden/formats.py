"""One small result in the present format of files, for the day when there is a newer one.

``PYTHONPATH=tests python -m golden.formats`` writes the folder ``formatN`` of the present version
beside this file, and refuses if there is one: what was written once is never written anew.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import ivimkit as ik
from ivimkit.io.record_form import FORMAT

HERE = Path(__file__).parent


def main() -> None:
    """Write least squares as NIfTI and as Zarr, and method bayes with its learned prior."""
    folder = HERE / f"format{FORMAT}"
    made = ik.simulate.phantom(shape=(12, 9, 2), snr=40, seed=1)
    (box,) = np.where(made.dwi.mask.any(axis=(1, 2)))
    mask = np.zeros(made.dwi.mask.shape, dtype=bool)
    mask[box[2] : box[2] + 5, 3:6, :] = made.dwi.mask[box[2] : box[2] + 5, 3:6, :]
    model = ik.models.get("biexp").with_fixed(D_star=0.03)
    result = ik.fit(made.dwi, model=model, method="varpro", mask=mask, uncertainty="curvature")
    folder.mkdir()
    ik.save(result, folder / "varpro")
    ik.save(result, folder / "zarr", format="zarr")
    ik.save(ik.fit(made.dwi, method="bayes", mask=mask), folder / "bayes")


if __name__ == "__main__":
    main()
