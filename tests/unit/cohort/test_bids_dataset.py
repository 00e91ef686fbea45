"""The index of a data set: inheritance, filters, masks and labels, and what is left out."""

import json
import os
from pathlib import Path

import pytest

from ivimkit.cohort import find_bids, find_in_table, read_filters
from ivimkit.errors import FileFormatError, InputError

SEG = "derivatives/seg"


def test_scans_with_inherited_files_masks_and_labels(made_dataset):
    found = find_bids(made_dataset, derivatives={"seg": made_dataset / SEG}, mask="liver")
    assert [one.name for one in found.subjects][:2] == [
        "sub-01_ses-1_acq-ivim",
        "sub-01_ses-2_acq-ivim",
    ]
    first = found.subjects[0]
    assert first.bval == made_dataset / "acq-ivim_dwi.bval"
    assert first.sidecars == (made_dataset / "acq-ivim_dwi.json",)
    assert first.bvec.parent == first.scan.parent
    assert first.mask.endswith("sub-01_ses-1_acq-ivim_desc-liver_mask.nii.gz")
    assert first.labels.name == "sub-01_ses-1_acq-ivim_dseg.nii.gz"
    assert not found.skipped


def test_paths_are_complete_for_workers_in_other_folders(made_dataset):
    relative = Path(os.path.relpath(made_dataset))
    found = find_bids(relative, derivatives={"seg": relative / SEG}, mask="liver")
    assert found.root == made_dataset.resolve()
    assert all(path.is_absolute() for subject in found.subjects for path in subject.inputs)


def test_nearest_bval_with_most_entities_wins(dataset):
    near = dataset / "sub-01" / "sub-01_acq-ivim_dwi.bval"
    near.write_text("0 100 800")
    bvals = {one.name: one.bval for one in find_bids(dataset).subjects}
    assert bvals["sub-01_ses-1_acq-ivim"] == near
    assert bvals["sub-02_ses-1_acq-ivim"].parent == dataset


def test_chosen_subjects_and_sessions(made_dataset):
    found = find_bids(made_dataset, participants=["sub-02", "01"], sessions=["ses-2"])
    assert [one.name for one in found.subjects] == [
        "sub-02_ses-2_acq-ivim",
        "sub-01_ses-2_acq-ivim",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"participants": ["9"]}, "there is no sub-9 .* expected some of 01, 02, 03"),
        ({"sessions": ["9"]}, "no subject has a session 9; expected some of 1, 2"),
        ({"participants": ["a/b"]}, "is not a label of subject"),
        ({"mask": "liver"}, "--mask is 'liver', and no derivatives are given"),
    ],
)
def test_what_is_not_there_is_an_error(made_dataset, options, message):
    with pytest.raises(InputError, match=message):
        find_bids(made_dataset, **options)


def test_several_masks_are_an_error_that_says_how_to_choose(made_dataset):
    with pytest.raises(InputError, match="Choose one by --mask with one of body, liver"):
        find_bids(made_dataset, derivatives={"seg": made_dataset / SEG})


def test_filters_of_scans_and_masks(made_dataset, tmp_path):
    file = tmp_path / "filter.json"
    content = {"dwi": {"session": [1]}, "mask": {"description": "body"}, "labels": {"desc": None}}
    file.write_text(json.dumps(content))
    found = find_bids(
        made_dataset, filters=read_filters(file), derivatives={"seg": made_dataset / SEG}
    )
    assert [one.session for one in found.subjects] == ["1", "1", "1"]
    assert all("desc-body" in one.mask for one in found.subjects)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "does not contain an object"),
        ('{"t1w": {}}', "expected some of dwi, mask, labels"),
        ('{"dwi": {"colour": "red"}}', "there is no entity 'colour'"),
        ('{"dwi": {"run": true}}', "run is True; expected a label"),
        ("{", "expected JSON"),
    ],
)
def test_wrong_filters(tmp_path, text, message):
    (tmp_path / "filter.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_filters(tmp_path / "filter.json")


def test_scans_that_are_left_out_are_listed_with_the_reason(dataset):
    home = dataset / "sub-01" / "ses-1" / "dwi"
    (home / "sub-01_ses-1_acq-ivim_part-phase_dwi.nii.gz").touch()
    (home / "sub-01_ses-1_acq-dti_dwi.nii.gz").touch()
    (home / "sub-01_ses-1_acq-flat_dwi.nii.gz").touch()
    (home / "sub-01_ses-1_acq-flat_dwi.bval").write_text("0 0 0")
    reasons = dict(find_bids(dataset).skipped)
    assert [reason for _, reason in sorted(reasons.items())] == [
        "it has no b-values (.bval)",
        "all its volumes have one b-value",
        "it contains part-phase, not magnitudes",
    ]


def test_a_table_of_volumes_is_found(dataset):
    table = dataset / "sub-01" / "ses-1" / "dwi" / "sub-01_ses-1_acq-ivim_dwi.tsv"
    table.write_text("echo_time\n")
    assert find_bids(dataset).subjects[0].variables == table
    assert find_bids(dataset).subjects[1].variables is None


def test_two_scans_of_one_name_are_an_error(dataset):
    home = dataset / "sub-01" / "ses-1" / "dwi"
    (home / "sub-01_ses-1_acq-ivim_desc-preproc_dwi.nii.gz").touch()
    (home / "sub-01_ses-1_acq-ivim_desc-preproc_dwi.bval").write_text("0 100")
    with pytest.raises(InputError, match="would both be called sub-01_ses-1_acq-ivim"):
        find_bids(dataset)


def test_a_folder_that_is_no_data_set(tmp_path):
    with pytest.raises(InputError, match=r"no dataset_description\.json"):
        find_bids(tmp_path)


def test_an_address_in_a_table_is_an_error(tmp_path):
    table = tmp_path / "paths.tsv"
    table.write_text("participant_id\tscan\n1\thttps://anna:secret@host/a.nii.gz\n")
    with pytest.raises(FileFormatError, match=r"line 2: https://host/a\.nii\.gz is an address"):
        find_in_table(table)
