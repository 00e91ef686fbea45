"""The templates: without kernels they say so; statuses and bounds as the driver sets them."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.engine import cpu, row_steps
from ivimkit.status import FitStatus, at_lower, at_upper

B = np.array(ik.simulate.B13, dtype=float)


@pytest.mark.parametrize(
    "template",
    [
        cpu.fit_row,
        cpu.estimate_row,
        cpu.signal_kernel,
        row_steps.fit_voxel,
        row_steps.estimate_voxel,
    ],
)
def test_a_template_without_kernels_cannot_run(template):
    with pytest.raises(AssertionError, match=r"a template: ivimkit.engine.bind puts the kernels"):
        template()


def test_bound_flags_are_those_of_the_bounds_of_the_voxel():
    model = ik.models.get("monoexp").with_bounds(ADC=(1e-3, 2e-3))
    signals = 100 * np.exp(-np.outer([0.5e-3, 1.5e-3, 3e-3], B))
    for method in ("loglinear", "varpro"):
        result = ik.fit(signals, B, model=model, method=method)
        assert result.status.tolist() == [at_lower(1), 0, at_upper(1)]


def test_what_has_no_weight_does_not_make_a_voxel_fail():
    weights = np.where(B == 40, 0.0, 1.0)
    signal = np.where(B == 40, np.nan, 100 * np.exp(-1e-3 * B))
    assert ik.fit(signal, B, model="monoexp", weights=weights).status == 0
    assert ik.fit(signal, B, model="monoexp").status == 0
    assert ik.fit(signal + np.nan, B, model="monoexp").status == FitStatus.NON_FINITE
