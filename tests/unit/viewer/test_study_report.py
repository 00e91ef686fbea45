"""The report of a result, beside the page."""

import ivimkit as ik
from ivimkit.viewer import study_report


def test_it_is_the_report_and_is_made_once(open_client, made, monkeypatch):
    result = ik.fit(made.dwi, method="segmented")
    client = open_client(ik.fit(made.dwi), result)
    asked = []

    class Made:
        html = "<!DOCTYPE html><title>the report</title>"

    def build(given, labels=None):
        asked.append((given.method.name, labels))
        return Made

    monkeypatch.setattr(study_report.report, "build", build)
    for _ in range(2):
        answer = client.get("report/1")
        assert answer.body.decode() == Made.html
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert asked == [("segmented", None)]
    # An origin of its own: it could not ask the server for anything.
    policy = answer.headers["content-security-policy"]
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy


def test_the_real_one(open_client):
    dwi = ik.simulate.phantom(shape=(12, 10, 1)).dwi
    small = ik.fit(dwi, model="monoexp", method="loglinear")
    answer = open_client(small).get("report/0")
    assert answer.code == 200, answer.body[:1000]
    assert answer.body.startswith(b"<!DOCTYPE html>")
    assert b"loglinear" in answer.body


def test_no_such_result(client):
    assert "there is no result '1'" in client.error(400, "get", "report/1")
