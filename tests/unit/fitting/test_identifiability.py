"""Whether the settings of a scan determine the parameters of a model."""

from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import AcquisitionError
from ivimkit.extend.b_value_advice import n_distinct_settings
from ivimkit.extend.compartment import Compartment
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting import identifiability
from ivimkit.fitting.identifiability import require_identifiable, unknown_to
from ivimkit.parameter import Parameter
from ivimkit.scan.acquisition import Acquisition

D = Parameter("D", "D", "mm^2/s", 0.0, 5e-3, 1e-3, (0.0, 2.5e-3))
T2 = Parameter("T2", "T2", "ms", 10.0, 500.0, 60.0, (20.0, 150.0))
MONOEXP = ik.models.get("monoexp")


def relaxation(name="relaxation", parameters=(T2, D), variables=("b", "echo_time")):
    """S0 exp(-TE / T2 - b D); its slopes are given in place of a compiled kernel."""
    tissue = Compartment("tissue", lambda b, te, p: p[0], parameters, variables=variables)
    return SignalModel(name, "relaxation", "S0 exp(-TE / T2 - b D)", (tissue,))


@pytest.fixture
def slopes(monkeypatch):
    def gradients(model, params, x):
        s0, t2, d = (params[:, k, None] for k in range(3))
        signal = s0 * np.exp(-x[0] * d - x[1] / t2)
        columns = [signal / s0, signal * x[1] / t2**2, -x[0] * signal]
        return np.stack(columns, axis=-1)

    monkeypatch.setattr(identifiability, "gradients", gradients)


def scan(b, te):
    return Acquisition(b, variables={"echo_time": te})


def test_enough(slopes):
    require_identifiable(relaxation(), scan([0, 500, 0], [60, 60, 90]))
    require_identifiable(relaxation().with_fixed(T2=60), scan([0, 500, 0, 500], 60))


def test_one_echo_time_is_not_enough(slopes):
    message = r"one echo time \(75 ms\) cannot give T2 of relaxation; expected several.*--fix T2="
    with pytest.raises(AcquisitionError, match=message):
        require_identifiable(relaxation(), scan([0, 200, 500, 800], 75))


def test_too_few_settings(slopes):
    message = "2 distinct settings of b, echo_time; expected at least 3 for the 3 free"
    with pytest.raises(AcquisitionError, match=message):
        require_identifiable(relaxation(), scan([0, 0, 500], [75.2, 75, 75]))


def test_a_variable_that_the_scan_does_not_have():
    with pytest.raises(AcquisitionError, match=r"echo_time is not known for this scan.*--te"):
        require_identifiable(relaxation(), Acquisition([0, 500]))
    with pytest.raises(AcquisitionError, match=r"echo_time is not known for this scan"):
        ik.fit(np.ones((3, 3)), [0, 500, 800], model=relaxation())


def test_parameters_that_always_go_together(monkeypatch):
    """Two rates of one decay: no scan tells them apart."""
    twin = relaxation("twins", (D, replace(D, name="D_2")), ("b",))

    def gradients(model, params, b):
        signal = params[:, :1] * np.exp(-b * (params[:, 1:2] + params[:, 2:]))
        return np.stack([signal / params[:, :1], -b * signal, -b * signal], axis=-1)

    monkeypatch.setattr(identifiability, "gradients", gradients)
    message = "D of twins cannot be determined.*stays the same if D and D_2 change together"
    with pytest.raises(AcquisitionError, match=message):
        require_identifiable(twin, Acquisition([0, 200, 500, 800]))


@pytest.mark.parametrize("model", ["biexp", "sivim", "monoexp"])
def test_as_many_b_values_as_parameters_are_enough(model):
    """Also without b = 0, and so near that numbers would say something else."""
    chosen = ik.models.get(model)
    for start in (0.0, 10.0):
        require_identifiable(chosen, Acquisition(start + 1.5 * np.arange(chosen.n_free) * 10))
    message = r"distinct b-values \(.*\); expected at least . for the . free parameters of"
    if chosen.n_free > 2:
        with pytest.raises(AcquisitionError, match=message):
            require_identifiable(chosen, Acquisition(100.0 * np.arange(chosen.n_free - 1)))


def test_settings_of_one_b_do_not_count_for_a_model_of_b():
    known = scan([0, 500, 0, 500], [60, 60, 90, 90])
    assert n_distinct_settings(MONOEXP, known) == 2
    assert n_distinct_settings(relaxation(), known) == 4
    assert unknown_to(relaxation(), known) is None
    assert "(60, 90 ms) and model monoexp does not depend" in unknown_to(MONOEXP, known)


def test_the_adc_is_that_of_one_echo_time():
    from ivimkit.fitting.fit import adc_weight

    dwi = ik.DWI(
        np.ones((1, 5)), [0, 500, 0, 500, 800], variables={"echo_time": [60, 60, 90, 90, 90]}
    )
    assert adc_weight(None, dwi, MONOEXP).tolist() == [1] * 5
    # By b and echo time: 0, 0, 500, 500, 800.
    assert adc_weight(None, dwi, relaxation()).tolist() == [0, 1, 0, 1, 1]
