"""Regions drawn on the page: the numbers of ivimkit.quality."""

import gzip
import io
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import ivimkit as ik
from ivimkit.viewer import drawn_regions

NAMES = "names=1:lesion,2:liver"


@pytest.fixture(scope="module")
def wide_result(made):
    """Drawn regions lie in a corner of it, and it has maps without a range of their own."""
    return ik.fit(made.dwi, method="segmented", uncertainty="curvature")


@pytest.fixture(scope="module")
def regions_client(open_client, result, wide_result):
    return open_client(result, wide_result)


@pytest.fixture(scope="module")
def drawing(made):
    """Two regions as a drawing: the lesion and the liver."""
    drawn = made.region("lesion") + np.uint8(2) * made.region("liver")
    drawn.setflags(write=False)
    return drawn


@pytest.fixture(scope="module")
def drawn_labels(drawing):
    return ik.Labels(drawing, {1: "lesion", 2: "liver"})


@pytest.fixture(scope="module")
def answers(regions_client, drawing, result):
    """What is answered for the drawing, of each result."""
    image = sent(drawing, result.geometry)
    return [
        regions_client.post(f"api/regions?result={which}&{NAMES}", image).json()
        for which in (0, 1)
    ]


@pytest.fixture(scope="module")
def tables(result, wide_result, drawn_labels):
    return [ik.quality.roi_table(fitted, drawn_labels) for fitted in (result, wide_result)]


@pytest.fixture(scope="module")
def unscanned_client(open_client, result):
    return open_client(replace(result, dwi=None))


def sent(drawing, geometry, dtype=np.uint8, zipped=False):
    image = ik.io.image_bytes(drawing.astype(dtype), geometry)
    return gzip.compress(image) if zipped else image


def number(value):
    return math.nan if value is None else value


@pytest.mark.parametrize("which", [0, 1])
def test_statistics_are_those_of_the_tables(
    answers, tables, result, wide_result, drawn_labels, which
):
    fitted, answer, table = (result, wide_result)[which], answers[which], tables[which]
    status = ik.quality.roi_status(fitted, drawn_labels)
    assert [(region["number"], region["name"]) for region in answer["regions"]] == [
        (1, "lesion"),
        (2, "liver"),
    ]
    for region in answer["regions"]:
        row = status.loc[region["name"]]
        assert region["n"] == row["voxels"]
        assert region["volume_ml"] == pytest.approx(row["volume_ml"], rel=1e-12)
        assert region["diameter_mm"] == pytest.approx(row["diameter_mm"], rel=1e-12)
        assert [entry["map"] for entry in region["maps"]] == list(fitted.maps)
        for entry in region["maps"]:
            expected = table.loc[(region["name"], entry["map"])]
            for key in ("n", "missing", "mean", "sd", "median", "q25", "q75"):
                np.testing.assert_equal(number(entry[key]), expected[key])


def test_the_mean_signal_and_its_fit(answers, drawn_labels, result):
    means = ik.quality.roi_fit(result, drawn_labels)
    for position, region in enumerate(answers[0]["regions"]):
        assert region["fit"]["averaged"]["signal"] == means.dwi.signal[position].tolist()
        assert region["fit"]["averaged"]["b"] == means.dwi.fit_bvals.tolist()
        found = {row["name"]: row for row in region["fit"]["estimates"]}
        for name in ("S0", "f", "D_star", "D", "ADC"):
            assert found[name]["value"] == float(means.maps[name][position])
        assert found["D"]["sd"] == float(means.sd["D"][position])


def test_the_mean_signal_of_several_echo_times(made):
    """Its values come with the setting that each belongs to."""
    b, n = made.dwi.fit_bvals, len(made.dwi.fit_bvals)
    signal = np.concatenate([made.dwi.signal, made.dwi.signal / 2], axis=-1)
    times = {"echo_time": [60] * n + [90] * n}
    dwi = ik.DWI(signal, np.tile(b, 2), mask=made.dwi.mask, variables=times)
    with pytest.warns(UserWarning, match="differ in echo_time"):
        result = ik.fit(dwi)
    labels = ik.Labels(made.region("liver").astype(int), {1: "liver"})
    fit = drawn_regions._mean_fit(result, labels, 1)["fit"]
    assert fit["curve"]["settings"] == []
    signals, series = fit["averaged"]["signal"], fit["averaged"]["series"]
    assert [one["name"] for one in series] == ["TE 60 ms", "TE 90 ms"]
    first, second = (np.asarray(signals)[list(one["members"])] for one in series)
    np.testing.assert_allclose(second, first / 2, rtol=1e-6)


@pytest.mark.parametrize("reference", [None, "lesion"])
def test_comparison(regions_client, answers, drawing, result, made, reference):
    lesion, other = ("lesion", "liver") if reference is None else ("liver", "lesion")
    answer = answers[0]
    if reference is not None:
        address = f"api/regions?{NAMES}&reference={reference}"
        answer = regions_client.post(address, sent(drawing, result.geometry)).json()
    assert answer["compared"] == [lesion, other]
    table = ik.quality.compare_regions(result, made.region(lesion), made.region(other))
    assert [row["map"] for row in answer["comparison"]] == list(table.index)
    for row in answer["comparison"]:
        expected = table.loc[row["map"]]
        assert row["hedges_g"] == expected["g"]
        for key in ("difference", "ratio", "cnr", "auc", "p"):
            assert row[key] == expected[key]
    assert answer["sentence"] == ik.quality.sentence(table, reference=other)


def test_one_region_is_compared_with_nothing(regions_client, drawing, result):
    only = np.where(drawing == 1, 7, 0)
    answer = regions_client.post("api/regions", sent(only, result.geometry)).json()
    assert [region["name"] for region in answer["regions"]] == ["7"]
    assert (answer["comparison"], answer["compared"]) == ([], None)


@pytest.mark.parametrize(
    ("dtype", "zipped"),
    [(np.uint8, True), (np.int16, False), (np.int32, True), (np.float32, False)],
)
def test_any_type_of_image_will_do(unscanned_client, drawing, result, dtype, zipped):
    image = sent(np.where(drawing == 1, 1, 0), result.geometry, dtype, zipped)
    answer = unscanned_client.post("api/regions?names=1:lesion", image).json()
    assert answer["regions"][0]["n"] == int((drawing == 1).sum())


def test_the_table_as_a_file(regions_client, drawing, result, tables):
    answer = regions_client.post(f"api/regions.csv?{NAMES}", sent(drawing, result.geometry))
    assert answer.headers["content-type"].startswith("text/csv")
    assert "regions.csv" in answer.headers["content-disposition"]
    table = pd.read_csv(io.StringIO(answer.body.decode()), index_col=["region", "map"])
    for column in ("n", "mean", "sd", "median", "p95", "roi_fit"):
        np.testing.assert_array_equal(table[column], tables[0][column])


def test_without_a_scan_there_is_no_mean_signal(unscanned_client, drawing, result):
    image = sent(drawing, result.geometry)
    answer = unscanned_client.post(f"api/regions?{NAMES}", image).json()
    assert answer["regions"][0]["fit"] is None
    assert answer["regions"][0]["maps"][0]["n"] > 0


def test_a_prior_of_other_regions_leaves_the_statistics(open_client, made, drawing):
    """Method bayes has a prior of one region that is drawn, and none of the other."""
    fitted = ik.fit(
        made.dwi, method="bayes", labels=ik.Labels(np.where(made.labels > 1, 3, 1), {1: "lesion"})
    )
    client, image = open_client(fitted), sent(drawing, fitted.geometry)
    lesion, liver = client.post(f"api/regions?{NAMES}", image).json()["regions"]
    alone = ik.quality.roi_fit(fitted, ik.Labels(np.where(drawing == 1, 1, 0), {1: "lesion"}))
    found = {row["name"]: row["value"] for row in lesion["fit"]["estimates"]}
    assert found["D"] == float(alone.maps["D"][0])
    assert lesion["why_no_fit"] is None
    assert liver["fit"] is None
    expected = (
        "No fit of the mean signal: the fit has priors of regions 1, 3; expected one of region"
    )
    assert liver["why_no_fit"].startswith(f"{expected} 2 (liver). Use the labels of the fit")
    values = fitted.maps["D"][drawing == 2]
    means = {row["map"]: row["mean"] for row in liver["maps"]}
    assert means["D"] == pytest.approx(np.nanmean(values), rel=1e-12)
    table = client.post(f"api/regions.csv?{NAMES}", image)
    assert table.code == 200
    assert b"liver,D," in table.body
    assert b"roi_fit" not in table.body


def test_what_cannot_be_done_is_said(regions_client, drawing, result):
    geometry = result.geometry
    image = sent(drawing, geometry)
    huge = bytearray(image)
    huge[42:44] = (30000).to_bytes(2, "little")
    bomb = gzip.compress(bytes(1 << 20))
    for body, query, sentence in [
        (sent(drawing * 0, geometry), "", "there is no region"),
        (sent(drawing[:-1], geometry), "", "the drawing has shape (23, 18, 2); expected (24, 18"),
        (sent(drawing * 1.5, geometry, np.float32), "", "expected whole numbers from 0 to 255"),
        (sent(drawing * 200.0, geometry, np.int16), "", "expected whole numbers from 0 to 255"),
        (sent(drawing * -1.0, geometry, np.int16), "", "expected whole numbers from 0 to 255"),
        (sent(drawing * np.nan, geometry, np.float32), "", "expected whole numbers from 0 to 255"),
        (image, "names=lesion", "expected something like 1:lesion,2:liver"),
        (image, "names=1:a,2:a", "several regions are named 'a'"),
        (image, f"{NAMES}&reference=spleen", "the reference is 'spleen'; expected one of the"),
        (image, "result=2", "there is no result '2'"),
        (b"", "", "not a NIfTI image"),
        (b"hello" * 100, "", "not a NIfTI image"),
        (image[:-100], "", "the image is damaged"),
        (bytes(huge), "", "its header says"),
        (gzip.compress(image)[:-20], "", "ends too early"),
        (b"\x1f\x8b" + b"0" * 50, "", "is damaged"),
        (bomb, "", "becomes larger than"),
    ]:
        assert sentence in regions_client.error(400, "post", f"api/regions?{query}", body)


@pytest.mark.parametrize("names", ["9" * 5000 + ":a", "256:a", "1:", "x" * 3000, "-1:a"])
def test_names_of_numbers_that_cannot_be(client, drawing, names):
    body = ik.io.image_bytes(drawing, ik.Geometry())
    answer = client.send("POST", f"/{client.token}/api/regions?names={names}", body)
    assert answer.code == 400
    assert "expected something like 1:lesion,2:liver" in answer.json()["error"]
    assert len(answer.json()["error"]) < 300


def test_no_name_in_the_table_is_a_formula(client, drawing):
    body = ik.io.image_bytes(drawing, ik.Geometry())
    answer = client.send("POST", f"/{client.token}/api/regions.csv?names=1:%3D1%2B1,2:liver", body)
    rows = [line.split(",")[0] for line in answer.body.decode().splitlines()]
    assert set(rows) == {"region", "'=1+1", "liver"}
