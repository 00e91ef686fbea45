"""Settings: volumes that agree in b and in all other variables."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import AcquisitionError, OptionError, ShapeError
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.variables import points, variable_of

B = [0, 0, 50, 50, 800, 800]
TE = [60, 90, 60, 90, 60.2, 89.8]


@pytest.fixture
def dwi():
    signal = np.arange(12.0).reshape(2, 6) + 1.0
    return ik.DWI(signal, B, variables={"echo_time": TE})


def test_settings_are_apart_and_averaged_apart(dwi):
    assert dwi.acquisition.shell_names == (
        *("0 (TE 60 ms)", "0 (TE 90 ms)", "50 (TE 60 ms)", "50 (TE 90 ms)"),
        *("800 (TE 60.2 ms)", "800 (TE 89.8 ms)"),
    )
    assert dwi.fit_counts.tolist() == [1] * 6
    assert dwi.with_variables(None).fit_counts.tolist() == [2, 2, 2]
    np.testing.assert_array_equal(dwi.curve([1, 0]), dwi.signal[0])
    assert dwi.fit_x(("b", "echo_time")).tolist() == [sorted(B), TE]


def test_values_within_the_tolerance_are_repeats(dwi):
    repeats = ik.DWI(
        np.ones((1, 12)), [*B, *B], variables={"echo_time": [*TE, *(t + 0.3 for t in TE)]}
    )
    assert repeats.fit_counts.tolist() == [2] * 6
    assert repeats.fit_x(["echo_time"])[0] == pytest.approx([t + 0.15 for t in TE])
    weighted = repeats.with_weights([1] * 6 + [0] * 6)
    assert weighted.fit_x(["echo_time"])[0].tolist() == TE


def test_series_share_volumes_without_gradient():
    """Of the diffusion time b = 0 knows nothing; of the echo time it does."""
    time = Acquisition([0, 0, 500, 500, 900], variables={"diffusion_time": [40, 70, 40, 70, 70]})
    assert [(one.text, one.members) for one in time.series] == [
        ("diffusion time 40 ms", (0, 1, 2)),
        ("diffusion time 70 ms", (0, 1, 3, 4)),
    ]
    echo = Acquisition([0, 0, 500], variables={"echo_time": [60, 90, 90]})
    assert [one.members for one in echo.series] == [(1, 2), (0,)]
    one = time.take(time.select(where="diffusion_time == 70 or b == 0"))
    assert one.varying == ()
    assert one.differing == ("diffusion_time",)
    assert len(one.series) == 1


def test_a_constant_variable_changes_nothing():
    plain, known = Acquisition(B), Acquisition(B, variables={"echo_time": 75})
    assert [s.volumes for s in known.shells] == [s.volumes for s in plain.shells]
    assert known.shell_names == ("0", "50", "800")
    assert known.series[0].variables == {"echo_time": 75.0}
    assert known != plain
    assert known == Acquisition(B, variables={"echo_time": [75] * 6})


def test_shells_stay_whole_in_parts(dwi):
    part = dwi.select(bmax=50)
    assert part.acquisition.shell_names[-1] == "50 (TE 90 ms)"
    assert part.acquisition.variables["echo_time"].tolist() == TE[:4]
    assert dwi.select(bvals=[0, 800]).acquisition.n_volumes == 4
    assert dwi.acquisition.n_distinct == 3
    assert [len(part.present) for part in dwi.acquisition.coverage()] == [1, 1, 0, 1]
    assert dwi.acquisition.perfusion_left().bvals.tolist() == [0, 50, 200, 800]


def test_directions_apart():
    axes = [[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0]]
    dwi = ik.DWI(np.array([[8.0, 4, 2, 1]]), [0, 500, 500, 500], bvecs=axes)
    apart = dwi.for_variables(("b", "gx", "gy", "gz"))
    assert apart.fit_x(("b", "gx", "gy")).tolist() == [[0, 500, 500], [0, 1, 0], [0, 0, 1]]
    assert apart.curve().tolist() == [8, 3, 1]
    assert dwi.for_variables(("b",)) is dwi
    with pytest.raises(AcquisitionError, match="directions of the gradients are not known"):
        ik.DWI([[1.0, 2.0]], [0, 5e2]).for_variables(("b", "gx"))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"echo_time": [50, 60]}, "echo_time has 2 values and there are 6 volumes"),
        ({"echo_time": [0.05] * 6}, "expected 1 to 1000 ms. If the unit is s, multiply by 1000"),
        ({"echo_time": [50] * 5 + [np.nan]}, "echo_time of volume 5 is nan; expected a number"),
        ({"echo_time": ["long"] * 6}, "expected a number per volume, in ms"),
        ({"mode": ["a", None, "b", "a", "a", "a"]}, "mode of volume 1 is missing"),
        ({"mode": ["a", " ", "b", "a", "a", "a"]}, "mode of volume 1 is ''; expected a text"),
        ({"c": [-1] * 6}, "c of volume 0 is -1 s/mm; expected 0 to 100 s/mm"),
        ({"b": B}, "b is among the other variables"),
    ],
)
def test_what_cannot_be_used(variables, message):
    with pytest.raises(AcquisitionError, match=message):
        Acquisition(B, variables=variables)


def test_names_of_variables():
    assert variable_of("echo_time").written(75.0) == "TE 75 ms"
    assert variable_of("mine").written("on") == "mine on"
    with pytest.raises(OptionError, match="'echo time'; expected a name of letters"):
        Acquisition(B, variables={"echo time": 75})


def test_variables_belong_into_an_acquisition():
    with pytest.raises(OptionError, match="separate directions, variables or a tolerance"):
        ik.DWI(np.ones((1, 6)), Acquisition(B), variables={"echo_time": TE})


def test_a_variable_that_is_not_known_or_a_text(dwi):
    with pytest.raises(AcquisitionError, match=r"echo_time is not known.*by --te"):
        ik.DWI([[1.0, 2.0]], [0, 500]).fit_x(("b", "echo_time"))
    with pytest.raises(AcquisitionError, match=r"mode of this scan is a text \('on'\)"):
        dwi.with_variables({"mode": ["on", "off"] * 3}).fit_x(("b", "mode"))


def test_points():
    assert points(("b",), [0, 800]).tolist() == [0, 800]
    assert points(("b",), {"b": [0, 800], "echo_time": 75}).tolist() == [0, 800]
    assert points(("b", "c"), {"c": [1, 2], "b": 500}).tolist() == [[500, 500], [1, 2]]
    with pytest.raises(OptionError, match=r"b-values alone for a model of b, c.*\{'b': \[...\]"):
        points(("b", "c"), [0, 800])
    with pytest.raises(OptionError, match="there is no c among b"):
        points(("b", "c"), {"b": [0]})
    with pytest.raises(ShapeError, match=r"shapes b \(2,\), c \(3,\); expected one length"):
        points(("b", "c"), {"b": [0, 1], "c": [0, 1, 2]})


def test_order_and_spread_compare_like_with_like():
    """A long echo time makes volumes of one b-value differ, and their signal rise with b."""
    rng = np.random.default_rng(1)
    b = np.array([0, 0, 0, 100, 400, 800, 0, 0, 0, 100, 400, 800])
    te = np.where(np.arange(12) < 6, 60.0, 120.0)
    s0 = rng.uniform(500, 1000, (400, 1))
    signal = s0 * np.exp(-b * 1e-3 - te / 50) * (1 + 0.005 * rng.standard_normal((400, 12)))
    mixed = [finding.kind for finding in ik.quality.scan_findings(ik.DWI(signal, b))]
    assert "spread" in mixed
    known = ik.DWI(signal, b, variables={"echo_time": te})
    assert ik.quality.scan_findings(known) == ()
    swapped = known.acquisition.bvals.copy()
    swapped[[6, 11]] = swapped[[11, 6]]
    wrong = ik.quality.scan_findings(ik.DWI(signal, swapped, variables={"echo_time": te}))
    assert wrong[0].text.startswith("at TE 120 ms, the ")
    repeats = ik.noise.from_repeats(known)
    assert repeats.degrees_map.max() == 4
    assert "(b = 0" in repeats.assumes
