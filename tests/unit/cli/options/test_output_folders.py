"""Where results go."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivimkit.cli.options.output_folders import names_apart, output_folders, stem
from ivimkit.errors import OptionError


@pytest.mark.parametrize("name", ["dwi.nii.gz", "dwi.nii", "dwi.NII.GZ", "dwi.hdr", "dwi"])
def test_stem(name):
    assert stem(Path(name)) == "dwi"


def test_default_is_beside_the_scan():
    assert output_folders([Path("a/dwi.nii.gz")], None) == [Path("a/dwi_ivim")]


def test_out_is_the_folder_of_one_scan():
    assert output_folders([Path("a/dwi.nii.gz")], Path("out")) == [Path("out")]


def test_out_holds_a_folder_per_scan():
    scans = [Path("one.nii.gz"), Path("two.nii.gz")]
    assert output_folders(scans, Path("out")) == [Path("out/one"), Path("out/two")]


def test_parents_tell_scans_apart():
    scans = [Path("sub-1/dwi.nii.gz"), Path("sub-2/dwi.nii.gz")]
    assert output_folders(scans, Path("out")) == [Path("out/sub-1_dwi"), Path("out/sub-2_dwi")]
    assert names_apart([Path("a/x/dwi"), Path("b/x/dwi")]) == ["a_x_dwi", "b_x_dwi"]


def test_two_results_in_one_folder():
    scans = [Path("dwi.nii"), Path("dwi.nii.gz")]
    with pytest.raises(OptionError, match=r"dwi\.nii and dwi\.nii\.gz would both be written to"):
        output_folders(scans, None)
    with pytest.raises(OptionError, match="would both be written to"):
        output_folders([scans[0], scans[0]], Path("out"))
