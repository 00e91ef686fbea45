"""compare_report: verdicts, table and methods of a comparison of models on one page."""

import numpy as np
import pytest

import ivimkit as ik
from html_page import untied
from ivimkit.errors import ShapeError


@pytest.fixture(scope="module")
def made():
    return ik.simulate.phantom(shape=(24, 18, 1))


def test_the_page_says_what_the_table_says(made):
    comparison = ik.compare(made.dwi, criterion="f_test", alpha=0.01)
    labels = ik.Labels(made.labels, made.label_names)
    report = ik.report.compare_report(comparison, labels=labels, title="Models")
    table = ik.quality.model_table(comparison, labels)
    for sentence in ik.quality.verdicts(table):
        assert sentence.replace("&", "&amp;") in untied(report.html)
    assert "F-tests of nested models at the level 0.01" in report.html
    assert "fitted to the same 13 values of every voxel by variable projection" in report.html
    assert "Seber GAF" in report.html
    given = ik.report.compare_report(comparison, table, title="Models")
    assert given.html == report.html
    with pytest.raises(ShapeError, match="labels have shape"):
        ik.report.compare_report(comparison, labels=[1, 2])


def test_models_that_were_left_out_have_their_reason(made):
    with pytest.warns(ik.errors.AcquisitionWarning):
        comparison = ik.compare(made.dwi, models="all", criterion="f_test", sigma=25.0)
    page = ik.report.compare_report(comparison).html
    assert "Left out" in page
    assert "triexp: model kurtosis is not a special case of it" in page


def test_a_list_of_voxels_has_no_picture():
    signal = np.exp(-np.array(ik.simulate.B13) * 1e-3) * [[100.0], [90.0]]
    report = ik.report.compare_report(ik.compare(signal, ik.simulate.B13))
    assert "<img" not in report.html
