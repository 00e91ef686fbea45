"""The overall light: the worst of all checks, counted in words."""

import pytest

from ivimkit.quality import Light, overall

GOOD, CAUTION, POOR, UNKNOWN = (
    Light(name, name, "why", f"do {name}") for name in ("green", "yellow", "red", "grey")
)


@pytest.mark.parametrize(
    ("lights", "colour", "reason"),
    [
        ([GOOD, GOOD], "green", "All 2 checks are good."),
        ([GOOD, UNKNOWN], "grey", "1 of 2 checks could not be made, 1 is good."),
        ([UNKNOWN, CAUTION, CAUTION], "yellow", "2 of 3 checks call for caution, 1 could"),
        ([GOOD, CAUTION, POOR], "red", "1 of 3 checks is poor, 1 calls for caution, 1 is good."),
        ([], "grey", "There are no checks."),
    ],
)
def test_the_worst_counts(lights, colour, reason):
    found = overall(lights)
    assert found.colour == colour
    assert found.reason.startswith(reason)
    assert found.advice == ("" if colour == "green" or not lights else f"do {colour}")
