"""Another fit of one voxel: what ivimkit.fit makes of it."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import AcquisitionWarning

VOXEL = [8, 9, 0]


def estimates(answer):
    assert answer.code == 200, answer.body
    return {row["name"]: row["value"] for row in answer.json()["estimates"]}


@pytest.fixture(scope="module")
def alone(made):
    """The voxel as a scan of its own."""
    return ik.DWI(made.dwi.signal[tuple(VOXEL)][np.newaxis], made.dwi.acquisition)


def test_bayes_needs_no_prior_from_a_fit_without_one(client, made):
    """The usual prior of a single voxel is flat."""
    found = estimates(client.post("api/refit", {"voxel": VOXEL, "method": "bayes"}))
    alone = made.dwi.signal[tuple(VOXEL)]
    flat = ik.fit(alone, made.dwi.acquisition.bvals, method=ik.methods.Bayes(prior="flat"))
    assert found["D"] == pytest.approx(float(flat.maps["D"]), rel=1e-6)


@pytest.mark.parametrize(
    ("model", "method"),
    [("biexp", "varpro"), ("biexp", "segmented"), ("biexp", "trr"), ("sivim", "loglinear")],
)
def test_the_same_fit_again_has_the_same_bits(open_client, made, model, method):
    result = ik.fit(made.dwi, model=model, method=method, sigma=12.5, adc_bvals=[0, 400, 800])
    client = open_client(result)
    for voxel in (VOXEL, [15, 9, 1]):
        found = estimates(client.post("api/refit", {"voxel": voxel}))
        for name, value in found.items():
            there = float(result.maps[name][tuple(voxel)])
            np.testing.assert_equal(np.nan if value is None else value, there)


def test_weights_of_the_fit_are_kept(open_client, made):
    weights = np.linspace(1.0, 2.0, made.dwi.fit_bvals.size)
    result = ik.fit(made.dwi, weights=weights)
    found = estimates(open_client(result).post("api/refit", {"voxel": VOXEL}))
    assert found["D"] == float(result.maps["D"][tuple(VOXEL)])


def test_a_map_that_fixes_a_parameter_is_kept(open_client, made):
    d_star = np.where(made.labels == 1, 0.03, 0.05)
    result = ik.fit(made.dwi, model=ik.models.get("biexp").with_fixed(D_star=d_star))
    found = estimates(open_client(result).post("api/refit", {"voxel": VOXEL}))
    assert found["D_star"] == d_star[tuple(VOXEL)]
    assert found["D"] == float(result.maps["D"][tuple(VOXEL)])


def test_bayes_uses_the_prior_of_the_whole_scan(open_client, made):
    result = ik.fit(made.dwi, method=ik.methods.Bayes(prior="learned"))
    client = open_client(result)
    for request in ({}, {"method": "bayes"}, {"method": "bayes", "options": {"prior": "learned"}}):
        found = estimates(client.post("api/refit", {"voxel": VOXEL, **request}))
        assert found["D"] == float(result.maps["D"][tuple(VOXEL)])
    flat = {"method": "bayes", "options": {"prior": "flat", "estimate": "mode"}}
    assert estimates(client.post("api/refit", {"voxel": VOXEL, **flat}))["D"] != found["D"]


@pytest.mark.parametrize(
    ("request_", "model", "method"),
    [
        (
            {"method": "segmented", "options": {"b_split": 100}},
            {},
            ("segmented", {"b_split": 100}),
        ),
        ({"options": {"noise": "rician"}}, {}, ("varpro", {"noise": "rician"})),
        ({"model": "sivim", "method": "loglinear"}, {"name": "sivim"}, ("loglinear", {})),
        ({"bounds": {"D": [0, 8e-4]}}, {"bounds": {"D": (0, 8e-4)}}, ("varpro", {})),
        ({"bounds": {"S0": [0, None]}}, {}, ("varpro", {})),
        ({"fixed": {"D_star": 0.02}}, {"fixed": {"D_star": 0.02}}, ("varpro", {})),
        (
            {"method": "bayes", "options": {"prior": "organ liver"}},
            {},
            ("bayes", {"prior": {"name": "organ", "organ": "liver"}}),
        ),
    ],
)
def test_a_refit_is_a_fit(client, alone, request_, model, method):
    changed = ik.models.get(model.get("name", "biexp"))
    changed = changed.with_bounds(**model.get("bounds", {})).with_fixed(**model.get("fixed", {}))
    name, options = method
    expected = ik.fit(alone, model=changed, method=ik.methods.get(name, **options))
    answer = client.post("api/refit", {"voxel": VOXEL, **request_})
    found = estimates(answer)
    for parameter in changed.names:
        assert found[parameter] == float(expected.maps[parameter][0])
    assert answer.json()["id"] == "refit"


def test_the_threshold_changes_the_curve_and_the_name_says_so(client):
    curves = {}
    for b_split in (100, 300):
        request = {"voxel": VOXEL, "method": "segmented", "options": {"b_split": b_split}}
        answer = client.post("api/refit", request).json()
        assert answer["name"] == f"segmented (b_split={b_split})"
        curves[b_split] = answer["curve"]["signal"]
    assert curves[100] != curves[300]


def test_the_name_tells_of_bounds_and_fixed_values(client):
    request = {"bounds": {"D": [0, 2e-3]}, "fixed": {"D_star": 0.02}, "model": "biexp"}
    name = client.post("api/refit", {"voxel": VOXEL, **request}).json()["name"]
    assert name == "varpro (biexp, D_star fixed to 0.02, D in 0 to 0.002)"


def test_standard_deviations_come_along_where_there_are_any(client):
    for request, there in (({}, True), ({"method": "segmented"}, True)):
        rows = client.post("api/refit", {"voxel": VOXEL, **request}).json()["estimates"]
        assert (next(row for row in rows if row["name"] == "D")["sd"] is not None) is there


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"voxel": [99, 0, 0]}, r"there is no voxel (99, 0, 0)"),
        ({"voxel": [1.5, 0, 0]}, "voxel[0]: expected a whole number, got a number"),
        ({"voxel": [True, 0, 0]}, "voxel[0]: expected a whole number, got true or false"),
        ({"voxel": "8,9,0"}, "voxel: expected a list, got a text"),
        ({}, "the request cannot be used: it has no 'voxel'"),
        (
            {"voxel": VOXEL, "metod": "trr"},
            "the request cannot be used: object contains unknown field `metod`",
        ),
        ({"voxel": VOXEL, "method": "best"}, "unknown method 'best'; there are bayes"),
        ({"voxel": VOXEL, "method": ["trr"]}, "method: expected a text or nothing, got a list"),
        ({"voxel": VOXEL, "model": "tri"}, "unknown model 'tri'; there are ballistic"),
        ({"voxel": VOXEL, "result": "1"}, "there is no result '1'"),
        ({"voxel": VOXEL, "options": {"b_split": 1}}, "method varpro has no option 'b_split'"),
        (
            {"voxel": VOXEL, "method": "segmented", "options": {"b_split": "high"}},
            "the options of method segmented cannot be used: b_split: expected a number",
        ),
        (
            {"voxel": VOXEL, "method": "segmented", "options": {"b_split": True}},
            "b_split: expected a number, got true or false",
        ),
        (
            {"voxel": VOXEL, "method": "segmented", "options": {"steps": 4}},
            "steps: invalid enum value 4",
        ),
        (
            {"voxel": VOXEL, "method": "trr", "options": {"two_stage": 1}},
            "two_stage: expected true or false, got a whole number",
        ),
        ({"voxel": VOXEL, "method": "segmented", "options": {"b_split": 790}}, "b_split"),
        ({"voxel": VOXEL, "options": [1]}, "options: expected names with values, got a list"),
        ({"voxel": VOXEL, "bounds": {"D": 1}}, "bounds.D: expected a list, got a whole number"),
        ({"voxel": VOXEL, "bounds": {"D": ["0", 1]}}, "expected a number, got a text"),
        ({"voxel": VOXEL, "bounds": {"D": [1e-3, 0]}}, "D is to be between 0.001 and 0"),
        ({"voxel": VOXEL, "bounds": {"E": [0, 1]}}, "model biexp has no parameter 'E'"),
        ({"voxel": VOXEL, "fixed": {"E": 1}}, "model biexp has no parameter 'E'"),
        ({"voxel": VOXEL, "fixed": {"D": None}}, "fixed.D: expected a number, got nothing"),
        (
            {"voxel": VOXEL, "method": "bayes", "options": {"prior": "learned"}},
            "is learned from a whole scan",
        ),
        ([1, 2], "the request is a list; expected a JSON object"),
        (b"{", "the request is not JSON"),
        (b'{"voxel": [NaN, 0, 0]}', "NaN is not JSON"),
        (b"\xff\xfe", "the request is not JSON"),
        (b"[" * 60000, "the request is not JSON"),
    ],
)
def test_what_cannot_be_done_is_said(client, request_, sentence):
    assert sentence in client.error(400, "post", "api/refit", request_)


def test_notes_tell_of_a_poor_protocol(open_client, made):
    with pytest.warns(ik.errors.AcquisitionWarning, match="no b-value above 0 and up to 50"):
        result = ik.fit(made.dwi.select(bvals=[0, 80, 110, 140, 170, 200, 400, 600, 800]))
    from ivimkit.viewer.study import Study
    from ivimkit.viewer.voxel_refit import refit_voxel

    with pytest.warns(ik.errors.AcquisitionWarning, match="no b-value above 0 and up to 50"):
        entry = refit_voxel(Study.of([result]), {"voxel": VOXEL})
    assert "no b-value above 0 and up to 50" in entry["notes"][0]


@pytest.mark.parametrize(
    "body",
    [
        b'{"voxel": [8, 9, 0], "fixed": {"D": %s}}' % (b"9" * 401),
        b'{"voxel": [8, 9, 0], "bounds": {"D": [0, -%s]}}' % (b"9" * 401),
        b'{"voxel": [8, 9, 0], "fixed": {"D": 1e999}}',
        b'{"voxel": [8, 9, 0], "method": "segmented", "options": {"b_split": %s}}' % (b"9" * 401),
        b'{"voxel": [%s, 9, 0]}' % (b"9" * 401),
        b'{"voxel": [8, 9, %s]}' % (b"9" * 5000),
        b'{"voxel": [8, 9, 0], "method": "\\ud800"}',
        b'{"voxel": [8, 9, 0], "\\udfff": 1}',
        b'{"voxel": [8, 9, 0], "model": {"a": ["' + b"x" * 9000 + b'"]}}',
        b"[" * 60_000,
    ],
)
def test_any_body_is_answered_with_a_sentence(client, body):
    answer = client.send("POST", f"/{client.token}/api/refit", body)
    assert answer.code == 400
    assert 20 < len(answer.json()["error"]) < 600


def test_a_method_that_does_not_take_the_model_says_so(open_client, made):
    with pytest.warns(AcquisitionWarning, match="b-values above the lowest one and up to 60"):
        result = ik.fit(made.dwi, model="triexp", method=ik.methods.NNLS(regularisation=0.1))
    request = {"voxel": VOXEL, "method": "segmented"}
    told = open_client(result).error(400, "post", "api/refit", request)
    assert "model triexp is not one. Use method varpro" in told
