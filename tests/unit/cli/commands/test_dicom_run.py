"""ivimkit dicom run: a folder of DICOM in, a folder of DICOM out, and the node around it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import typer

import dicom_maker
import ivimkit as ik
from ivimkit.cli import app
from ivimkit.io.dicom.saving import KINDS
from ivimkit.node import Node, load_settings
from ivimkit.node.jobs import Jobs, JobState
from ivimkit.node.rules import FIT_OPTIONS
from ivimkit.node.rules import KINDS as RULE_KINDS
from node_parts import Archive, connected, wait_for, write_settings

SEGMENTED = ("--method", "segmented", "--b-split", "200", "--quiet")


@pytest.fixture(scope="module")
def images():
    """A small abdomen as images of a scanner."""
    made = ik.simulate.phantom(shape=(24, 18, 2))
    signal = np.asarray(made.dwi.signal)
    slope = float(signal.max()) / 30_000
    stored = np.rint(signal / slope).astype(np.int16)
    scan = dicom_maker.Made(stored=stored, bvals=list(made.dwi.acquisition.bvals), slope=slope)
    return dicom_maker.slices(scan)


@pytest.fixture(scope="module")
def saved(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "study"
    dicom_maker.save(images, folder)
    return folder


@pytest.fixture
def study(saved, tmp_path):
    """The images as a folder."""
    return shutil.copytree(saved, tmp_path / "study")


def test_a_study_becomes_maps_in_the_same_study(run, study, tmp_path):
    from pydicom import dcmread

    out, kept = tmp_path / "maps", tmp_path / "kept"
    run("dicom", "run", study, out, "--as", "mr", "--result", kept, *SEGMENTED)
    files = sorted(out.rglob("*.dcm"))
    assert {path.parent.name for path in files} >= {"mr_D", "mr_f", "mr_D_star"}
    assert all(path.suffix == ".dcm" for path in out.rglob("*") if path.is_file())
    headers = [dcmread(path, stop_before_pixels=True) for path in files]
    assert {one.StudyInstanceUID for one in headers} == {"1.2.3.4"}
    assert ik.load_result(kept).method.name == "segmented"
    # Once more: the same files, which the archive replaces, and only if asked to.
    run("dicom", "run", study, out, "--as", "mr", *SEGMENTED, code=2)
    run("dicom", "run", study, out, "--as", "mr", "--overwrite", *SEGMENTED)
    again = [dcmread(path, stop_before_pixels=True) for path in sorted(out.rglob("*.dcm"))]
    assert [one.SOPInstanceUID for one in again] == [one.SOPInstanceUID for one in headers]


def _region(dwi):
    labels = np.zeros(dwi.shape[:3], np.uint8)
    labels[8:12, 6:10] = 1
    return labels


def test_regions_become_segmentation_and_report(run, study, tmp_path):
    """Those of a file; then, as if another program had drawn them, those among the images."""
    from pydicom import dcmread

    dwi = ik.load(study)
    ik.io.save_map(_region(dwi), tmp_path / "lesion.nii.gz", dwi.geometry)
    out = tmp_path / "maps"
    command = ("dicom", "run", study, out, "--overwrite", *SEGMENTED)
    run(*command, "--as", "sr", "--labels", tmp_path / "lesion.nii.gz")
    assert sorted(path.name for path in out.iterdir()) == ["seg.dcm", "sr.dcm"]
    found = ik.load_labels(out / "seg.dcm", dwi)
    np.testing.assert_array_equal(found.array, _region(dwi))
    assert list(found) == ["lesion"]
    drawn = dcmread(out / "seg.dcm")
    drawn.save_as(study / "own.dcm")
    error = run(*command, "--as", "sr", "--labels", "seg", code=2).stderr
    assert "there is no Segmentation in the space of the scan" in " ".join(error.split())
    drawn.ManufacturerModelName = "3D Slicer"
    drawn.save_as(study / "drawn.dcm")
    run(*command, "--as", "sr", "--labels", "seg")
    assert "Lesion" in str(dcmread(out / "sr.dcm")) or "lesion" in str(dcmread(out / "sr.dcm"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--as", "jpg"), "no kind of DICOM output 'jpg'"),
        (("--as", "seg"), "seg: there are no regions to describe"),
        (("--method", "segmentd"), "unknown method 'segmentd'"),
        (("--series", "77"), "there is no series 77"),
        (("--maps", "D,Dstar"), "--maps names 'Dstar'"),
    ],
)
def test_wrong_options_are_said_and_nothing_is_written(run, study, tmp_path, words, sentence):
    kept = tmp_path / "kept"
    result = run("dicom", "run", study, tmp_path / "maps", "--result", kept, *words, code=2)
    assert sentence in " ".join(result.stderr.split())
    assert not (tmp_path / "maps").exists()
    # Nor was anything fitted.
    assert not kept.exists()


def test_what_is_not_dicom_is_said(run, scan, tmp_path):
    result = run("dicom", "run", scan, tmp_path / "maps", code=2)
    assert "is not DICOM; expected a folder" in " ".join(result.stderr.split())
    run("dicom", "run", tmp_path / "nothing", tmp_path / "maps", code=2)


def test_the_fit_of_a_rule_has_options_that_exist():
    command = typer.main.get_command(app).commands["dicom"].commands["run"]
    assert set(FIT_OPTIONS) <= {option.name for option in command.params}
    assert tuple(KINDS) == RULE_KINDS


def test_the_whole_way_from_a_scanner_to_the_archive(images, tmp_path):
    """With the real child processes: a study comes in, its maps go to the archive."""
    from pynetdicom.presentation import build_context

    archive = Archive().start(contexts=[build_context("1.2.840.10008.5.1.4.1.1.4")])
    rule = 'write = ["mr"]\nkeep_result = true\nfit = { method = "segmented", b_split = 200 }'
    settings = write_settings(
        tmp_path, peers={"mr1": 0, "pacs": archive.port}, node="fit_attempts = 1", more=rule
    )
    text = settings.read_text().replace('"*ivim*"', '"*ivim*", b_values = ">=4"')
    settings.write_text(text)
    node = Node(load_settings(settings), pulse_s=0.02)
    node.start()
    try:
        with connected(node.port) as association:
            for number, one in enumerate(images[::-1]):
                assert association.send_c_store(one, msg_id=number + 1).Status == 0
        jobs = Jobs(node.root)
        wait_for(lambda: (node.step(), [job for job in jobs.every() if job.has_ended])[1])
        (job,) = jobs.every()
        assert (job.state, job.reason) == (JobState.done, "")
    finally:
        node.stop()
        archive.stop()
    assert ik.load_result(jobs.folder(job.id).result).method.name == "segmented"
    results = jobs.folder(job.id).results()
    assert len(archive.received) == len(results) >= 2 * 3


def test_without_the_extra(run, tmp_path, monkeypatch):
    monkeypatch.setattr("ivimkit.io.dicom.extra.find_spec", lambda name: None)
    error = run("dicom", "run", tmp_path, tmp_path / "out", code=2).stderr
    assert "ivimkit[dicom]" in error
