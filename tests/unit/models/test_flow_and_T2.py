"""Models of several echo times and of flow: what a scan has to have, and what they correct."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import AcquisitionError
from ivimkit.fitting.identifiability import require_identifiable
from ivimkit.scan.acquisition import Acquisition
from tolerances import NOISE_FREE

B = [0, 10, 25, 50, 100, 200, 300, 400, 500]
BOTH = ("bipolar", "flow-compensated")


def flow_scan(shapes, times, b=B):
    rows = [(x, shape, T) for shape in shapes for T in times for x in b]
    bvals, shape, time = zip(*rows, strict=True)
    return Acquisition(bvals, variables={"gradient": shape, "encoding_time": time})


def advice(model, scan):
    return " ".join(ik.models.get(model).advice(scan))


@pytest.mark.parametrize("model", ["ballistic", "intermediate"])
def test_both_weightings_by_flow_are_enough(model):
    scan = flow_scan(BOTH, [40, 100])
    require_identifiable(ik.models.get(model), scan)
    assert advice(model, scan) == ""


def test_one_weighting_by_flow_is_not_enough():
    one = flow_scan(["bipolar"], [60])
    with pytest.raises(AcquisitionError, match="cannot give tau of intermediate"):
        require_identifiable(ik.models.get("intermediate"), one)
    compensated = flow_scan(["flow-compensated"], [40, 100])
    with pytest.raises(AcquisitionError, match=r"one c \(0 s/mm\) cannot give v of ballistic"):
        require_identifiable(ik.models.get("ballistic"), compensated)
    assert "v and tau can hardly be separated" in advice("intermediate", compensated)
    several = flow_scan(["bipolar"], [40, 100])
    assert "tau is hardly identifiable" in advice("intermediate", several)
    assert "f is separated from D by b alone" in advice("ballistic", several)
    low = flow_scan(["bipolar"], [60], b=[0, 5, 10, 20, 30, 60, 100, 200])
    assert "f, v and D cannot be separated: up to b = 200" in advice("ballistic", low)


def test_short_gradients_say_that_blood_hardly_turns():
    assert "use model ballistic" in advice("intermediate", flow_scan(BOTH, [12, 15]))
    fixed = ik.models.get("intermediate").with_fixed(tau=120)
    assert fixed.advice(flow_scan(BOTH, [12, 15])) == []


def test_advice_about_echo_times():
    scan = Acquisition([*B, *B], variables={"echo_time": [50] * 9 + [80] * 9})
    [sentence] = ik.models.get("biexp_t2").advice(scan)
    assert "18 volumes; expected 36 or more for T2b and f of single voxels" in sentence
    assert "--fix T2_blood=160" in sentence
    twice = Acquisition([*B, *B] * 2, variables={"echo_time": ([50] * 9 + [80] * 9) * 2})
    assert ik.models.get("biexp_t2").advice(twice) == []
    assert ik.models.get("biexp_t2").with_fixed(T2_blood=160).advice(scan) == []
    one = Acquisition([*B, 0, 300, 500], variables={"echo_time": [50] * 9 + [80] * 3})
    assert "1 echo time with b-values above 0 and up to 100" in advice("biexp_t2", one)
    with pytest.raises(
        AcquisitionError, match=r"one echo time \(60 ms\) cannot give T2_blood and"
    ):
        require_identifiable(
            ik.models.get("biexp_t2"), Acquisition(B, variables={"echo_time": 60})
        )


def test_f_of_one_echo_time_is_corrected_for_T2():
    """By the formula after a bi-exponential fit, and by fixed T2 in the fit: the same f."""
    truth = np.array([[1000.0, f, 0.04, 160.0, 1.2e-3, 45.0] for f in (0.05, 0.2, 0.5)])
    table = {"b": np.array([0, 10, 20, 40, 80, 150, 300, 500, 800.0]), "echo_time": 65.0}
    dwi = ik.DWI(ik.simulate.signals("biexp_t2", truth, table), table["b"])
    apparent = ik.fit(dwi, model="biexp").maps["f"]
    assert (apparent > 1.3 * truth[:, 1]).all()
    found = ik.conventions.f_without_T2(apparent, echo_time=65, T2_blood=160, T2_tissue=45)
    np.testing.assert_allclose(found, truth[:, 1], rtol=NOISE_FREE)
    model = ik.models.get("biexp_t2").with_fixed(T2_blood=160, T2_tissue=45)
    fitted = ik.fit(dwi.with_variables({"echo_time": 65}), model=model)
    np.testing.assert_allclose(fitted.params, truth, rtol=NOISE_FREE)
