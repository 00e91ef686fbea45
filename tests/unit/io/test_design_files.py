"""save_design: what is written, and what is never overwritten."""

from __future__ import annotations

import json

import numpy as np
import pytest

import ivimkit as ik
from ivimkit import io
from ivimkit.errors import OutputExistsError
from ivimkit.io.gradient_files import read_bvals


@pytest.fixture(scope="module")
def plan():
    return ik.design("liver", snr=40, n=12, echo_time=ik.planning.StejskalTanner(T2_ms=34.0))


def test_files_of_a_design(plan, tmp_path):
    out = tmp_path / "plan"
    ik.save_design(plan, out)
    assert sorted(path.name for path in out.iterdir()) == [
        "dwi.bval",
        "protocol.json",
        "protocol.tsv",
    ]
    assert read_bvals(out / "dwi.bval").tolist() == plan.bvals.tolist()
    table = io.load_table(out / "protocol.tsv")
    assert table["averages"].tolist() == plan.counts.tolist()
    record = json.loads((out / "protocol.json").read_text())
    assert record["averages"] == plan.counts.tolist()
    assert record["order"]["b"] == plan.bvals.tolist()
    assert record["echo_time_ms"] == plan.echo_time_ms
    assert record["expected_errors"]["D"]["error"] == plan.errors["D"]


def test_an_earlier_design_is_replaced_on_request_only(plan, tmp_path):
    out = tmp_path / "plan"
    ik.save_design(plan, out)
    (out / "design.png").write_bytes(b"of the earlier one")
    before = (out / "dwi.bval").read_bytes()
    other = ik.design("brain", snr=30, n=8)
    with pytest.raises(OutputExistsError, match="already contains results"):
        ik.save_design(other, out)
    assert (out / "dwi.bval").read_bytes() == before
    ik.save_design(other, out, overwrite=True)
    assert np.array_equal(read_bvals(out / "dwi.bval"), other.bvals)
    assert not (out / "design.png").exists()
