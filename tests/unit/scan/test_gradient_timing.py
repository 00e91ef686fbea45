"""Timing of gradients: b, c, and the variables of models that follow from it."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import AcquisitionError, OptionError, ShapeError
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.gradient_timing import GYROMAGNETIC_RATIO, GradientTiming
from ivimkit.scan.variables import points
from tolerances import CLOSED_FORM

TIMINGS = {
    "monopolar": (GradientTiming("monopolar", 20, 35), [(0, 1), (20, 0), (35, -1), (55, 0)]),
    "halves": (GradientTiming("bipolar", encoding_time=40), [(0, 1), (20, -1), (40, 0)]),
    "one pair": (GradientTiming("bipolar", 15, 20, 35), [(0, 1), (15, 0), (20, -1), (35, 0)]),
    "two pairs": (
        GradientTiming("bipolar", 8, 9, 60),
        [(0, 1), (8, 0), (9, -1), (17, 0), (43, 1), (51, 0), (52, -1), (60, 0)],
    ),
    "compensated": (
        GradientTiming("Flow compensated", 8, 9, 60),
        [(0, 1), (8, 0), (9, -1), (17, 0), (43, -1), (51, 0), (52, 1), (60, 0)],
    ),
    "four lobes": (
        GradientTiming("flow-compensated", encoding_time=50),
        [(0, -1), (50 * (0.5 - 8**-0.5), 1), (25, -1), (50 * (0.5 + 8**-0.5), 1), (50, 0)],
    ),
}


@pytest.mark.parametrize("name", TIMINGS)
def test_b_and_c_are_the_moments_of_the_waveform(name):
    """b = gamma^2 int Q^2 and c = gamma int Q, with Q the integral of the gradient."""
    timing, steps = TIMINGS[name]
    edges = np.array([1e-3 * time for time, _ in steps])
    strengths = 30e-6 * np.array([sign for _, sign in steps])[:-1]
    lengths = np.diff(edges)
    Q = np.concatenate([[0.0], np.cumsum(strengths * lengths)])
    mean = (Q[1:] + Q[:-1]) / 2
    square = (Q[1:] ** 2 + Q[1:] * Q[:-1] + Q[:-1] ** 2) / 3
    b = GYROMAGNETIC_RATIO**2 * (square * lengths).sum()
    c = GYROMAGNETIC_RATIO * abs((mean * lengths).sum())
    assert timing.b([30.0])[0] == pytest.approx(b, rel=CLOSED_FORM)
    assert timing.strength([b])[0] == pytest.approx(30.0, rel=CLOSED_FORM)
    assert timing.c([b])[0] == pytest.approx(c, rel=CLOSED_FORM, abs=1e-12)


def test_variables_of_volumes_follow_from_shape_and_times():
    shape = ["none", "bipolar", "flow_compensated", "bipolar", "Flow compensated"]
    scan = Acquisition(
        [0, 100, 100, 200, 200],
        variables={"gradient": shape, "encoding_time": [9, 40, 40, 70, 70]},
    )
    # b = 0 has no gradient, and takes what is finite.
    assert scan.numbers_of("gradient_code").tolist() == [0, 0, -2, 0, -2]
    assert scan.numbers_of("gradient_duration").tolist() == [20, 20, 20, 35, 35]
    c = [0.0, np.sqrt(100 * 0.02**2 / (0.02 * 2 / 3)), 0.0]
    np.testing.assert_allclose(scan.numbers_of("c")[:3], c, rtol=CLOSED_FORM)
    model = ik.models.get("intermediate")
    assert scan.varying_for(model.variables) == ("gradient", "encoding_time")
    assert scan.varying_for(("b",)) == ()
    assert [one.determines(model.variables) for one in scan.series] == [True] * 4
    [one] = [one for one in scan.series if one.text == "gradient bipolar, T 40 ms"]
    table = points(model.variables, one.at([0.0, 50.0]))
    assert table.tolist() == [[0, 50], [20, 20], [20, 20], [40, 40], [0, 0]]


def test_the_number_of_pairs_follows_from_the_encoding_time():
    def code(shape, short, apart, whole):
        columns = GradientTiming(shape, short, apart, whole).columns()
        return Acquisition([0, 50], variables=columns).numbers_of("gradient_code").tolist()

    assert code("monopolar", 20, 35, None) == [0, 0]
    assert code("monopolar", 8, 9, 60) == [0, 0]
    assert code("bipolar", 8, 9, 17) == [0, 0]
    assert code("bipolar", 8, 9, 34) == [1, 1]
    assert code("flow-compensated", 8, 9, 60) == [-1, -1]


def test_c_that_grows_with_b_is_one_curve():
    scan = Acquisition([0, 50, 50, 200, 200], variables={"c": [0, 0, 1.1, 0, 2.2]})
    assert [(one.text, one.members) for one in scan.series] == [
        ("c 0 s/mm", (0, 1, 3)),
        ("c 0.156 √b", (0, 2, 4)),
    ]
    assert scan.series[1].at([100.0])["c"] == pytest.approx(1.5556, rel=1e-4)
    alone = Acquisition([0, 50, 200], variables={"c": [0, 1.1, 2.2]})
    assert alone.varying == ()
    assert alone.shell_names == ("0", "50", "200")
    assert alone.series[0].determines(("b", "c"))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"gradient_duration": 20, "gradient_separation": 10}, "gradients of 20 ms 10 ms apart"),
        (
            {"gradient_duration": 8, "gradient_separation": 9, "encoding_time": 15},
            r"encoding time of 15 ms; expected at least duration \+ separation",
        ),
    ],
)
def test_times_that_do_not_go_together(variables, message):
    with pytest.raises(AcquisitionError, match=f"volume 1 has .*{message}"):
        Acquisition([0, 50], variables=variables)
    # At b = 0 there are no gradients, whatever a file says.
    times = {"gradient_duration": 8, "gradient_separation": 9, "encoding_time": 17}
    Acquisition([0, 50], variables={name: [variables[name], times[name]] for name in variables})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("zigzag", 8, 9), "shape of gradients is 'zigzag'; expected one of monopolar, bipolar"),
        (("monopolar",), "encoding_time is missing for monopolar"),
        (("monopolar", None, None, 60), "gradient_duration and gradient_separation are missing"),
        (("bipolar", 8), "gradient_separation is missing for bipolar gradients"),
        (("bipolar", 8, 9), "encoding_time is missing for bipolar"),
        (("flow-compensated", 8, 9, 20), r"room for two pairs of duration \+ separation \(8 \+ 9"),
    ],
)
def test_incomplete_timing(given, message):
    with pytest.raises((AcquisitionError, OptionError), match=message):
        GradientTiming(*given)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "c is not known for this scan.*It also follows from gradient"),
        ({"gradient": "odd", "encoding_time": 40}, "gradients that are called 'odd'"),
        ({"gradient": 1, "encoding_time": 40}, r"gradient is a number \(1\); expected a text"),
        ({"gradient_code": 0}, "gradient_code is known and gradient_duration is not"),
    ],
)
def test_what_does_not_follow(variables, message):
    with pytest.raises(AcquisitionError, match=message):
        Acquisition([0, 50], variables=variables).numbers_of("c")


def test_columns_of_a_table_have_one_length():
    table = {"b": [0, 50, 100], "gradient": ["bipolar"] * 2, "encoding_time": 40}
    with pytest.raises(ShapeError, match=r"b \(3,\), gradient \(2,\), encoding_time \(1,\)"):
        points(("b", "c"), table)
