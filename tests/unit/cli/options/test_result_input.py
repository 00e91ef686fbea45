"""What goes with saved results: their scans, with a warning where there is none, and regions."""

from __future__ import annotations

import numpy as np
import pytest

from ivimkit import io
from ivimkit.cli.options.result_input import check_names, load_regions, with_scan
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import FileFormatError, OptionError


@pytest.fixture
def result(fit):
    return fit()


def test_a_scan_that_is_where_it_was(result, made, capsys):
    found = with_scan(result, Screen(), "no curves")
    np.testing.assert_array_equal(found.dwi.signal, made.dwi.signal)
    assert found.maps is result.maps
    assert capsys.readouterr().err == ""


def test_without_its_scan_a_result_stays_as_it_is_and_a_warning_says_what_is_missing(
    result, scan, capsys
):
    scan.unlink()
    assert with_scan(result, Screen(), "no curves") is result
    assert "warning: no curves: " in capsys.readouterr().err


def test_a_scan_that_is_needed_or_named_must_be_there(result, scan):
    scan.unlink()
    with pytest.raises(FileFormatError, match=r"no longer exists; .*\(--scan\)"):
        with_scan(result, Screen(), "no curves", needed=True)
    with pytest.raises(FileFormatError, match="there is no file"):
        with_scan(result, Screen(), "no curves", scan=scan)


def test_a_scan_elsewhere_with_its_b_values(result, scan, folder):
    moved = scan.rename(folder / "moved.nii.gz")
    found = with_scan(result, Screen(), "", scan=moved, bval=folder / "dwi.bval")
    assert [source.path for source in found.dwi.sources] == [
        str(moved),
        str(folder / "dwi.bval"),
    ]


def test_names_need_regions(folder):
    with pytest.raises(OptionError, match=r"^--names is given without --labels; expected both"):
        check_names([], folder / "names.csv")
    check_names([folder / "labels.nii.gz"], folder / "names.csv")
    check_names([], None)


def test_regions(result, folder, made):
    assert load_regions(result, []) is None
    names = folder / "names.json"
    names.write_text('{"1": "liver tissue"}')
    labels = load_regions(result, [folder / "labels.nii.gz"], names)
    np.testing.assert_array_equal(labels.array, made.labels)
    assert labels.names[1] == "liver tissue"
    for name in ("lesion", "liver"):
        mask = made.region(name).astype(np.uint8)
        io.save_map(mask, folder / f"{name}.nii.gz", made.dwi.geometry)
    masks = [folder / f"{name}.nii.gz" for name in ("lesion", "liver")]
    assert list(load_regions(result, masks)) == ["lesion", "liver"]
