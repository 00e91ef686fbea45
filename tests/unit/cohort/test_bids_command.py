"""``ivimkit bids``: what is written, resumed, refused, and how failures are told."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from ivimkit.cohort import Ledger
from unit.cohort.conftest import without_times

NAME = "sub-01_ses-1_acq-ivim"


def with_seg(dataset, *options, mask="body"):
    return ("--derivatives", f"seg={dataset}/derivatives/seg", "--mask", mask, *options)


def damaged(dataset, name="sub-02_ses-1_acq-ivim"):
    """Cut a scan off; return its file."""
    path = next(dataset.rglob(f"{name}_dwi.nii.gz"))
    path.write_bytes(path.read_bytes()[:300])
    return path


def test_maps_sidecars_and_tables_then_the_group(dataset, bids, tmp_path):
    out = tmp_path / "out"
    shown = bids(dataset, "participant", *with_seg(dataset, "-w", tmp_path / "work"))
    assert "6 scans fitted, 0 done before" in shown

    home = out / "sub-01" / "ses-1" / "dwi"
    name = f"{NAME}_model-ivim_param-Dstar_dwimap"
    about = json.loads((home / f"{name}.json").read_text())
    assert about["Units"] == "mm^2/s"
    assert about["Model"]["Parameters"]["FitMethod"] == "segmented"
    assert about["Sources"][0] == f"bids:raw:sub-01/ses-1/dwi/{NAME}_dwi.nii.gz"
    assert f"bids:seg:sub-01/ses-1/dwi/{NAME}_desc-body_mask.nii.gz" in about["Sources"]
    assert f"{NAME}_model-ivim_param-status_dwimap.nii.gz" in about["NaN"]
    ordinary = nib.load(tmp_path / "work" / NAME / "D_star.nii.gz").get_fdata()
    np.testing.assert_array_equal(nib.load(home / f"{name}.nii.gz").get_fdata(), ordinary)
    assert (home / f"{NAME}_model-monoexp_param-ADC_dwimap.nii.gz").is_file()
    described = json.loads((out / "dataset_description.json").read_text())
    assert described["DatasetLinks"]["raw"] == dataset.as_uri()
    index = (out / "index.html").read_text()
    assert f"{NAME}_model-ivim_regions.tsv" in index
    assert index.count("Warning: ") == sum(len(one.warnings) for one in Ledger(out).entries())

    before = without_times(out)
    assert "0 scans fitted, 6 done before" in bids(dataset, "participant", *with_seg(dataset))
    assert without_times(out) == before

    bids(dataset, "group")
    table = pd.read_csv(out / "group_regions.tsv", sep="\t", na_values="n/a")
    assert {"participant_id", "session_id", "acquisition", "share_ok", "age"} <= set(table)
    assert table[table["participant_id"] == "sub-01"]["age"].eq(41).all()
    assert set(json.loads((out / "group_regions.json").read_text())) == set(table)
    wide = pd.read_csv(out / "group_wide.tsv", sep="\t")
    assert len(wide) == 6
    row = table.query("participant_id == 'sub-03' and session_id == 'ses-2' and map == 'D'")
    region = row["region"].iloc[0]
    assert wide[f"{region}_D"].iloc[-1] == row["median"].iloc[0]
    repeated = pd.read_csv(out / "group_repeatability.tsv", sep="\t")
    assert repeated["subjects"].max() == 3
    page = (out / "group.html").read_text()
    for title in ("Failures", "Worst scans first", "Protocols", "Distributions", "Outliers"):
        assert title in page
    assert "already contains results" in bids(dataset, "group", code=2)
    assert "group_regions.tsv" in bids(dataset, "group", "--overwrite")


def test_other_options_are_refused_and_replace_when_asked(dataset, bids, tmp_path):
    one = ("--participant-label", "sub-01", "--session-id", "1")
    bids(dataset, "participant", *one)
    before = without_times(tmp_path / "out")
    shown = bids(dataset, "participant", *one, "--bmax", "400", code=2)
    assert (
        f"of other options, other inputs or another version for 1 of the scans ({NAME})" in shown
    )
    assert without_times(tmp_path / "out") == before

    monoexp = ("--model", "monoexp", "--bmax", "400", "--overwrite")
    bids(dataset, "participant", *one, *monoexp, method="loglinear")
    maps = {path.name for path in (tmp_path / "out").rglob("*_dwimap.nii.gz")}
    assert not any("model-ivim" in name for name in maps)
    entry = Ledger(tmp_path / "out").read(NAME)
    assert "b = 0 10 20 40 80 110 140 170 200 300 400 s/mm²" in entry.protocol

    (dataset / "acq-ivim_dwi.json").write_text('{"EchoTime": 0.08}')
    shown = bids(dataset, "participant", *one, *monoexp[:-1], method="loglinear", code=2)
    assert "other inputs" in shown


def test_a_damaged_scan_is_one_line_and_the_others_are_done(dataset, bids, tmp_path):
    path = damaged(dataset)
    whole = next(dataset.rglob("sub-03_ses-1*_dwi.nii.gz")).read_bytes()
    shown = bids(dataset, "participant", code=1)
    assert shown.count("failed: 3 of 6: sub-02_ses-1_acq-ivim: ") == 1
    assert "5 scans fitted" in shown
    assert "failed: 1 scan: sub-02_ses-1_acq-ivim" in shown
    assert "sub-02_ses-1_acq-ivim: " in (tmp_path / "out" / "index.html").read_text()

    path.write_bytes(whole)
    assert "1 scan fitted, 5 done before" in bids(dataset, "participant")


def test_options_from_a_file_and_a_log(dataset, bids, tmp_path):
    damaged(dataset)
    file, log = tmp_path / "settings.toml", tmp_path / "run.log"
    file.write_text(
        'bmax = 600\n[bids]\nparticipant-label = ["01", "02"]\nmask = "body"\n'
        'derivatives = {seg = "raw/derivatives/seg"}\n'
    )
    options = ("--config", file, "--log", log)
    bids(dataset, "participant", *options, "--session-id", "1", code=1)
    text = log.read_text()
    assert "error: failed: " in text
    assert "sub-02_ses-1_acq-ivim" in text
    assert "1 scan fitted" in text
    entry = Ledger(tmp_path / "out").read(NAME)
    assert all(f"warning: {NAME}: {warning}" in text for warning in entry.warnings)
    assert "--bmax 600" in text
    assert "exit code 1" in text.splitlines()[-1]
    # The jobs of a cluster do not depend on the file.
    script = bids(dataset, "participant", "--config", file, "--slurm", "2")
    assert "--config" not in script
    assert "--participant-label 01,02" in script or "--participant-label 01" in script
    assert f"seg={tmp_path / 'raw/derivatives/seg'}" in script


def test_the_first_failure_can_end_the_run(dataset, bids):
    damaged(dataset, "sub-01_ses-1_acq-ivim")
    shown = bids(dataset, "participant", "--stop-on-first-crash", code=1)
    assert "the others were not begun" in shown
    assert "0 scans fitted" in shown


def test_a_scan_with_too_few_b_values_is_no_failure(dataset, bids):
    name = "sub-01_ses-1_acq-ivim"
    (dataset / "sub-01" / "ses-1" / "dwi" / f"{name}_dwi.bval").write_text(
        " ".join(["0"] * 6 + ["1000"] * 7)
    )
    shown = bids(dataset, "participant", "--participant-label", "01", "--threads", "1")
    assert f"{name}: unsuitable: " in shown
    assert "1 scan fitted, 0 done before, 1 not suitable for the model" in shown


def test_a_dry_run_and_a_script_write_nothing(dataset, bids, tmp_path):
    shown = bids(dataset, "participant", *with_seg(dataset, "--dry-run", mask="liver"))
    assert f"{NAME}_desc-liver_mask.nii.gz" in shown
    assert "6 scans to fit, 0 done before; one after the other in this process" in shown
    filters = tmp_path / "filters.json"
    filters.write_text('{"dwi": {"session": "2"}}')
    script = bids(
        dataset, "participant", "--bids-filter-file", filters, "--slurm", "2", "--n-procs", "3"
    )
    assert "#SBATCH --array=1-2\n" in script
    assert "#SBATCH --cpus-per-task=3\n" in script
    assert "--slurm" not in script.splitlines()[-1]
    assert script.endswith('--part "$SLURM_ARRAY_TASK_ID/2"\n')
    assert not (tmp_path / "out").exists()


def test_parts_share_the_scans_and_memory_limits_their_number(dataset, bids):
    shown = bids(dataset, "participant", "--part", "2/4", "--dry-run", "--n-procs", "2")
    assert "2 scans to fit, 0 done before; 2 at a time" in shown
    shown = bids(
        dataset, "participant", "--dry-run", "--n-procs", "2", "--mem-mb", "300", "--threads", "3"
    )
    assert "1 at a time, 3 threads each" in shown
    shown = bids(dataset, "participant", "--dry-run", "--n-procs", "2", "--mem-mb", "100")
    assert "warning: the largest scan needs about 250 MB, and there are 100" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--part", "5/4"), "the part is '5/4'; expected K/N"),
        (("--sigma", "map.nii.gz"), "--sigma is 'map.nii.gz'; expected a number, or the entities"),
        (("--sigma", "-3"), "--sigma is '-3'; expected a number > 0, one of"),
        (("--derivatives", "seg="), "expected NAME=FOLDER"),
        (("--derivatives", "seg=nowhere"), "there is no folder nowhere"),
        (("--mem-mb", "0"), "the memory is 0 MB; expected more than 0"),
        (("--preprocess", "dance"), "dance"),
        (("--slurm", "5", "--part", "1/2"), "--part is given with --slurm"),
    ],
)
def test_wrong_options_come_before_any_work(made_dataset, bids, tmp_path, options, message):
    assert message in bids(made_dataset, "participant", *options, code=2)
    assert not (tmp_path / "out").exists()


def test_a_table_of_paths(dataset, bids, tmp_path):
    table = dataset / "paths.csv"
    scan = "sub-01/ses-1/dwi/sub-01_ses-1_acq-ivim_dwi.nii.gz"
    mask = "derivatives/seg/sub-01/ses-1/dwi/sub-01_ses-1_acq-ivim_desc-liver_mask.nii.gz"
    table.write_text(
        f"participant_id,run,scan,bval,mask\nA7,1,{scan},acq-ivim_dwi.bval,{mask}\n"
        f"A7,2,{scan},acq-ivim_dwi.bval,n/a\n"
    )
    bids(table, "participant", "--preprocess", "average", "--sigma", "20", "--strict")
    voxels = {entry.name: entry.n_voxels for entry in Ledger(tmp_path / "out").entries()}
    assert voxels["sub-A7_run-1"] < voxels["sub-A7_run-2"]
    assert "given with a table" in bids(table, "participant", "--session-id", "1", code=2)
    table.write_text("participant_id,scan,colour\n1,a.nii,red\n")
    assert "has a column 'colour'; expected some of participant_id" in bids(table, code=2)


def test_an_output_that_cannot_be_written(dataset, bids, tmp_path):
    (tmp_path / "file").touch()
    shown = bids(dataset, "participant", out=tmp_path / "file", code=2)
    assert "is a file; expected a folder" in shown


def test_a_full_disk_ends_the_run_with_a_sentence(dataset, bids, monkeypatch):
    from ivimkit.cohort import fitted_subject

    def full(*_, **__):
        from ivimkit.writing import told_as_input

        with told_as_input("out"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(fitted_subject, "write_derivatives", full)
    shown = bids(dataset, "participant", code=2)
    assert shown.count("No space left on device") == 1
