"""Draw the pictures of the README and the documentation: `python docs/make_images.py`."""

from __future__ import annotations

import re
import tempfile
from contextlib import chdir
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import ivimkit as ik

IMAGES = Path(__file__).parent / "images"
SLICE = 5
VOXEL = (38, 52, SLICE)


def save(figure: Figure, name: str) -> None:
    """Save a figure without margins and without an alpha channel, which would not be visible."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    path = IMAGES / f"{name}.png"
    Image.open(buffer).convert("RGB").save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def own_model() -> Figure:
    """Run the Python blocks of the page on your own model, and return the maps they end with."""
    page = (Path(__file__).parent / "your-own-model.md").read_text(encoding="utf-8")
    found: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        blocks = re.findall(r"```(python|pycon)([^\n]*)\n(.*?)```", page, flags=re.S)
        for language, about, code in blocks:
            file = re.search('title="(.+?)"', about)
            if file:
                Path(file[1]).write_text(code, encoding="utf-8")
            elif language == "python":
                exec(code, found)
            elif "from_file" in code:
                exec("import ivimkit as ik; model = ik.models.from_file('mine.py')", found)
    return found["figure"]


def main() -> None:
    """Draw the abdomen phantom as `ivimkit demo` makes it, and one voxel with three repeats."""
    IMAGES.mkdir(exist_ok=True)
    made = ik.simulate.phantom("abdomen")
    limits = ik.organs.get("liver").display
    methods = ("segmented", "trr", "varpro")
    results = {name: ik.fit(made.dwi, method=name) for name in methods}
    fit = results["varpro"]
    save(ik.report.map_panels(fit, made.dwi, slices=SLICE, limits=limits), "maps")
    save(ik.report.status_panels(fit, slices=SLICE), "status")
    truth = {"truth": made.truth, **results}
    compared = ik.report.compare_methods(
        truth, slice=SLICE, maps=["f", "D_star", "D"], limits=limits, title="abdomen phantom"
    )
    save(compared, "methods")
    save(designed(), "design")

    repeated = ik.simulate.phantom("abdomen", bvals=sorted(3 * ik.simulate.B13)).dwi
    fits = {name: ik.fit(repeated, method=name) for name in ("segmented", "varpro")}
    save(ik.report.voxel_plot(repeated, fits, VOXEL), "voxel")

    save(own_model(), "own-model")

    values = ik.quality.repeat_values(scanned_twice(), maps=["D", "f"])
    pairs, repeat = ik.quality.pairs(values), ik.quality.repeatability(values)
    save(ik.report.bland_altman(pairs, repeat), "repeatability")


def designed() -> Figure:
    """Return the figure of a design for the liver, with a common set and published ones."""
    plan = ik.design("liver", snr=40, n=12)
    published = ik.planning.published_for("liver")
    mine = {"yours": [0.0, 50, 100, 200, 400, 800]}
    return ik.report.design_panels(plan, mine | {one.name: one.bvals for one in published})


def scanned_twice() -> dict[str, list[ik.FitResult]]:
    """Simulate twelve livers of 300 voxels, each scanned twice."""
    rng = np.random.default_rng(0)
    found = {}
    for subject in range(12):
        truth = [1000, rng.normal(0.25, 0.04), 0.06, rng.normal(1.1e-3, 0.1e-3)]
        clean = np.tile(ik.simulate.signals("biexp", truth, ik.simulate.B13), (300, 1))
        noisy = [
            ik.simulate.add_noise(clean, sigma=40, seed=2 * subject + scan) for scan in range(2)
        ]
        found[f"subject {subject}"] = [ik.fit(one, ik.simulate.B13) for one in noisy]
    return found


if __name__ == "__main__":
    main()
