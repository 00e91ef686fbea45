"""A click: the numbers are those of the maps, bit for bit."""

import dataclasses
import math

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.viewer.voxel_answer import fit_entry
from tolerances import EXPONENTIAL

VOXELS = [(8, 9, 0), (15, 9, 1), (12, 4, 0)]


def said(value):
    return math.nan if value is None else value


@pytest.mark.parametrize("voxel", VOXELS)
def test_estimates_are_the_maps(client, result, voxel):
    x, y, z = voxel
    answer = client.get(f"api/voxel?x={x}&y={y}&z={z}").json()
    rows = {row["name"]: row for row in answer["fits"][0]["estimates"]}
    for name, row in rows.items():
        np.testing.assert_equal(said(row["value"]), float(result.maps[name][voxel]))
        for end in ("sd", "lo", "hi"):
            there = f"{name}_{end}" in result.maps
            expected = float(result.maps[f"{name}_{end}"][voxel]) if there else math.nan
            np.testing.assert_equal(said(row[end]), expected)
    assert set(rows) >= {"S0", "f", "D_star", "D", "ADC", "fD_star", "rmse", "r2"}
    assert "D_sd" not in rows


def test_signal_curve_and_residuals(client, result, made):
    voxel = (8, 9, 0)
    answer = client.get("api/voxel?x=8&y=9&z=0").json()
    assert answer["measured"]["b"] == made.dwi.acquisition.bvals.tolist()
    assert answer["measured"]["signal"] == made.dwi.signal[voxel].astype(float).tolist()
    inside = np.zeros(made.dwi.shape, bool)
    inside[voxel] = True
    averaged = np.empty((1, made.dwi.fit_bvals.size))
    made.dwi.with_mask(inside).voxels().read(0, 1, averaged)
    assert answer["averaged"]["signal"] == averaged[0].tolist()
    fit = answer["fits"][0]
    assert fit["curve"]["signal"] == result.predict(fit["curve"]["b"])[voxel].tolist()
    assert fit["curve"]["b"][0] == 0.0
    assert fit["curve"]["b"][-1] == made.dwi.fit_bvals.max()
    predicted = result.predict(made.dwi.fit_bvals)[voxel]
    assert fit["residuals"]["residual"] == (averaged[0] - predicted).tolist()
    assert answer["world"] == (made.dwi.affine @ [*voxel, 1])[:3].tolist()


def test_components_make_up_the_curve(client, result):
    voxel = (8, 9, 0)
    fit = client.get("api/voxel?x=8&y=9&z=0").json()["fits"][0]
    b = np.array(fit["curve"]["b"])
    s0, f, d_star, d = result.params[voxel]
    parts = {part["name"]: np.array(part["signal"]) for part in fit["curve"]["components"]}
    near = {"rtol": 0, "atol": EXPONENTIAL * s0}
    np.testing.assert_allclose(parts["tissue"], s0 * (1 - f) * np.exp(-b * d), **near)
    np.testing.assert_allclose(parts["blood"], s0 * f * np.exp(-b * d_star), **near)
    both = parts["tissue"] + parts["blood"]
    np.testing.assert_allclose(both, fit["curve"]["signal"], **near)


def test_one_pool_has_no_components(open_client, made):
    client = open_client(ik.fit(made.dwi, model="monoexp"))
    assert client.get("api/voxel?x=8&y=9&z=0").json()["fits"][0]["curve"]["components"] == []


def test_outside_the_mask_the_status_says_so(client, result):
    x, y, z = np.argwhere(~result.mask)[0]
    answer = client.get(f"api/voxel?x={x}&y={y}&z={z}").json()
    assert answer["fits"][0]["status"] == {
        "code": 1,
        "names": ["OUTSIDE_MASK"],
        "sentence": "Outside the mask, not fitted.",
    }
    assert set(answer["fits"][0]["curve"]["signal"]) == {None}


def test_several_flags_have_several_names(made, result):
    values = result.at((8, 9, 0))
    entry = fit_entry(result, values, 32 | 256, None)
    assert entry["status"]["names"] == ["PERFUSION_NOT_DETECTED", "SD_NOT_AVAILABLE"]
    assert entry["residuals"] is None


@pytest.mark.parametrize(
    ("value", "sd", "text"),
    [
        (0.98765e-3, 0.0512e-3, "0.988 ± 0.051"),
        (12.3456e-3, 4.2e-3, "12.3 ± 4.2"),
        (12.3456e-3, 42e-3, "12 ± 42"),
        (0.98765e-3, math.nan, "0.988"),
        (0.98765e-3, 0.0, "0.988"),
        (math.nan, 1e-3, "–"),
    ],
)
def test_estimates_have_as_many_digits_as_their_sd_allows(result, value, sd, text):
    values = {**result.at((8, 9, 0)), "D": value, "D_sd": sd}
    rows = fit_entry(result, values, 0, None)["estimates"]
    assert {row["name"]: row["text"] for row in rows}["D"] == text


@pytest.mark.parametrize("query", ["x=24&y=0&z=0", "x=-1&y=0&z=0", "x=0&y=18&z=0", "x=0&y=0&z=2"])
def test_a_voxel_outside_is_refused(client, query):
    sentence = client.error(400, "get", f"api/voxel?{query}")
    assert "expected x, y, z from 0 to 23, 0 to 17, 0 to 1" in sentence


@pytest.mark.parametrize("query", ["", "x=1&y=2", "x=1.5&y=2&z=0", "x=a&y=2&z=0"])
def test_a_voxel_of_no_numbers_is_refused(client, query):
    assert "expected a whole number" in client.error(400, "get", f"api/voxel?{query}")


def test_two_results_answer_together(open_client, result, made):
    other = ik.fit(made.dwi, method="segmented")
    client = open_client(result, other, names=["full", "steps"])
    answer = client.get("api/voxel?x=8&y=9&z=0").json()
    assert [fit["name"] for fit in answer["fits"]] == ["full", "steps"]
    values = [
        {row["name"]: row["value"] for row in fit["estimates"]}["D"] for fit in answer["fits"]
    ]
    assert values == [float(each.maps["D"][8, 9, 0]) for each in (result, other)]
    array, _ = client.get("volumes/1/D.nii").image()
    np.testing.assert_array_equal(array, other.maps["D"].astype(np.float32))


def test_a_spectrum_is_shown_where_the_method_has_one(open_client, made, result):
    found = ik.fit(made.dwi, method=ik.methods.NNLS(regularisation=0.1, keep_spectrum=True))
    client = open_client(found)
    place = "api/voxel?x=8&y=9&z=0"
    shown = client.get(place).json()["fits"][0]["spectrum"]
    expected = found.spectrum((8, 9, 0))
    np.testing.assert_allclose(shown["rates"], 1e3 * expected.rates)
    np.testing.assert_allclose(shown["shares"], expected.shares, rtol=1e-6)
    assert [window["symbol"] for window in shown["windows"]] == ["D", "D*"]
    assert len(shown["peaks"]) == len(expected.peaks)
    x, y, z = np.argwhere(~found.mask)[0]
    assert client.get(f"api/voxel?x={x}&y={y}&z={z}").json()["fits"][0]["spectrum"] is None
    # Kept spectra need no scan; other methods have none.
    kept = open_client(dataclasses.replace(found, dwi=None)).get(place).json()["fits"][0]
    np.testing.assert_allclose(kept["spectrum"]["shares"], shown["shares"], rtol=1e-5)
    assert open_client(result).get(place).json()["fits"][0]["spectrum"] is None


def test_a_refit_has_the_weight_of_the_whole_scan(open_client, made):
    found = ik.fit(made.dwi, method=ik.methods.NNLS(regularisation=0.123))
    client = open_client(found)
    for options, same in (({"bins": 40}, True), ({"order": 1}, False)):
        request = {"voxel": [8, 9, 0], "method": "nnls", "options": options}
        refit = client.post("api/refit", request).json()
        expected = 0.123 if same else "gcv"
        own = ik.methods.NNLS(**{"regularisation": expected, **options})
        alone = ik.fit(made.dwi.signal[8, 9, 0], made.dwi.acquisition.bvals, method=own)
        values = {one["name"]: one["value"] for one in refit["estimates"]}
        assert values["D"] == pytest.approx(float(alone.maps["D"]), rel=1e-9)
