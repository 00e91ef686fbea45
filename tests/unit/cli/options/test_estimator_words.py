"""The estimator of --uncertainty, with options."""

from __future__ import annotations

import pytest

from ivimkit import uncertainty
from ivimkit.cli.options.estimator_words import estimator_of
from ivimkit.errors import OptionError


def test_options_have_their_types():
    assert estimator_of("curvature") == uncertainty.get("curvature")
    found = estimator_of("bootstrap:n=500:kind=wild")
    assert found.options() == {"kind": "wild", "n": 500, "seed": 0}
    assert estimator_of("profile:parameters=D+f").parameters == ("D", "f")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nix", "nix"),
        ("bootstrap:n", r"has 'n'; expected an option and a value, like bootstrap:n=500"),
        ("bootstrap:n=many", r"--uncertainty bootstrap:n is 'many'; expected a whole number"),
        ("bootstrap:n=5:n=6", r"has option n twice"),
        ("bootstrap:size=6", r"size"),
    ],
)
def test_wrong_words(text, message):
    with pytest.raises(OptionError, match=message):
        estimator_of(text)


def test_a_command_line_has_them(fit):
    one, more = (fit("--uncertainty", f"bootstrap:n={n}").maps["D_sd"] for n in (50, 60))
    assert (one != more).any()
