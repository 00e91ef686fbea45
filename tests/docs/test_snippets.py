"""Every snippet of the README and of the documentation runs."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ivimkit as ik
from dicom_maker import Made, save, slices
from ivimkit.io import save_map, save_scan
from ivimkit.simulate.digital_phantom import Phantom
from snippets import RUN, SHOWN, run_snippets, snippets_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_FIGURES = ("README.md",)
"""Pages on which fits and reports make their figures; on the others those that no code of the page
asks for by name are left out: they take longer than the fit."""

DEMO_SHAPE = "24,18,1"
NOT_RUN = ("cd", "git", "pip", "python")
"""What sets up a machine; only its spelling could be checked."""


@pytest.fixture(scope="session")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder that the pages talk of: a phantom stands in for the reader's scan."""
    folder = tmp_path_factory.mktemp("scan")
    made = ik.simulate.phantom("abdomen", shape=(32, 24, 2), seed=5)
    lesion = made.region("lesion")
    for name in ("dwi.nii.gz", "large.nii"):
        save_scan(made.dwi, folder / name)
    save_map(made.dwi.mask.astype("uint8"), folder / "mask.nii.gz", made.dwi.geometry)
    save_map(made.labels, folder / "labels.nii.gz", made.dwi.geometry)
    save_map(lesion.astype("uint8"), folder / "lesion.nii.gz", made.dwi.geometry)
    save_map(made.labels, folder / "total.nii.gz", made.dwi.geometry)
    names = [f"{number}\t{name}" for number, name in made.label_names.items()]
    (folder / "total.tsv").write_text("\n".join(["index\tname", *names]))
    aseg = np.select([made.labels == 1, made.labels == 5], [10, 49], 0).astype("uint8")
    save_map(aseg, folder / "aseg.nii.gz", made.dwi.geometry)
    stored = np.rint(made.dwi.signal).astype(np.uint16)
    study = Made(stored, made.dwi.acquisition.bvals, affine=made.dwi.affine)
    save(slices(study), folder / "study")
    # Slices are read in the order of the normal. Few regions: a structured report takes a second
    # for each.
    few = np.where(made.labels <= 2, made.labels, 0)
    turned, geometry = few[:, :, ::-1], ik.load(folder / "study").geometry
    save_map(turned, folder / "regions.nii.gz", geometry)
    _save_dataset(folder / "data", made)
    for patient in ("patient1", "patient2"):
        small = ik.simulate.phantom("abdomen", shape=(24, 18, 2), seed=1)
        save_scan(small.dwi, folder / patient / "dwi.nii.gz")
    return folder


def _save_dataset(root: Path, made: Phantom) -> None:
    """Save a phantom as a BIDS data set of one subject, with a mask of the liver."""
    drawn = root / "derivatives" / "seg" / "sub-01" / "dwi" / "sub-01_desc-liver_mask.nii.gz"
    save_scan(made.dwi, root / "sub-01" / "dwi" / "sub-01_dwi.nii.gz")
    save_map(made.region("liver").astype("uint8"), drawn, made.dwi.geometry)
    (root / "dataset_description.json").write_text('{"Name": "phantom", "BIDSVersion": "1.10.0"}')


_ANSWERED: set[tuple[str, ...]] = set()
"""Questions that have been answered in this session, see `_question`."""


def _question(arguments: list[str]) -> tuple[str, ...] | None:
    """Return the words of a check, which writes nothing, and the files that they name."""
    if arguments[:1] != ["check"]:
        return None
    named = [Path(word) for word in arguments if Path(word).is_file()]
    files = [
        file
        for one in named
        for file in sorted(one.parent.glob(f"{one.name.partition('.')[0]}*.*"))
    ]
    return *arguments, *(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)


def _shell(words: list[str], *, draws: bool = True) -> None:
    program, *arguments = words
    if arguments[:1] in (["fit"], ["compare"]) and not (draws or "--no-figures" in arguments):
        arguments.append("--no-figures")
    if arguments[:1] == ["bids"] and "participant" in arguments and not draws:
        arguments += ["--no-reports", "--n-procs", "0"]
    if arguments[:1] == ["demo"] and "--shape" in arguments:
        arguments[arguments.index("--shape") + 1] = DEMO_SHAPE
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M)
        unknown = [word for word in arguments if "=" not in word and word not in targets]
        assert not unknown, f"the Makefile has no target {unknown}"
    elif program == "ivimkit":
        from ivimkit.cli import app

        question = _question(arguments)
        if question in _ANSWERED:
            return
        result = CliRunner().invoke(app, _expanded(arguments))
        assert result.exit_code == 0, f"{' '.join(words)}\n{result.output}"
        if question is not None:
            _ANSWERED.add(question)
    else:
        assert program in NOT_RUN, f"do not know how to run {program!r}"


def _expanded(arguments: list[str]) -> list[str]:
    """Return the words with patterns replaced by the files they match, as a shell does."""
    found = [sorted(map(str, Path().glob(word))) if "*" in word else [word] for word in arguments]
    return [word for words in found for word in words]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_snippets_run(
    page: Path,
    scan: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    without_figures: Callable[[], AbstractContextManager[None]],
) -> None:
    home = tmp_path / "home"
    shutil.copytree(scan, home)
    monkeypatch.chdir(home)
    draws = page.name in WITH_FIGURES
    with nullcontext() if draws else without_figures():
        run_snippets(page, partial(_shell, draws=draws))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_fence_says_what_it_is(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    languages = {snippet.language for snippet in snippets_of(page)}
    assert languages <= {*RUN, *SHOWN}
    assert text.count("```") == 2 * len(snippets_of(page))
