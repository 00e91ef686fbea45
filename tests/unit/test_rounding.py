"""One rule of rounding, with the cases that the page has as well, and no other formatter.

The page's own tests have them: src/ivimkit/viewer/page/test/view.test.ts.
"""

import json
import math
import re
from pathlib import Path

import pytest

import ivimkit
from ivimkit import models, rounding
from ivimkit.extend import derived_maps as derived
from ivimkit.parameter import Parameter

CASES = json.loads((Path(__file__).parent / "rounding_cases.json").read_text(encoding="utf-8"))
PACKAGE = Path(ivimkit.__file__).parent

D = models.get("biexp")["D"]
F = models.get("biexp")["f"]


def number(value):
    return math.nan if value is None else value


@pytest.mark.parametrize("name", CASES)
def test_in_python(name):
    write = getattr(rounding, name)
    for given, expected in CASES[name]:
        assert write(*map(number, given)) == expected, given


def test_units():
    assert (rounding.in_unit(D, 1.1e-3), rounding.shown_unit(D)) == ("1.10", "10⁻³ mm²/s")
    assert rounding.plus_minus(D, 1.1344e-3, 4.11e-5) == "1.134 ± 0.041"
    assert rounding.in_unit(F, 5e-17) == "< 0.0001"
    assert rounding.shown_unit(Parameter("cost", "cost", "a.u.^2", 0, 1, 0)) == "a.u.²"


@pytest.mark.parametrize(
    "text",
    [
        "ADC_1.40 against 1.53_·10⁻³_mm²/s (8_% lower; 95_% limits −10_% to −6_%), no other",
        "f D*_8.1_±_0.3 from 0.98 (0.98 to 0.99)_·10⁻³_mm²/s in 3 of 16, b_=_0 to 800_s/mm²",
        "64_×_48 voxels of 2_×_2_×_6_mm, 5_ml in 12 mlx; p_<_0.001, D_−0.2, 300_MB, 5_s, J 1. doi",
        "slice 5 in volume 8 (b_=_200), compared with 7 regions of 1_234 voxels, no number",
    ],
)
def test_lines_do_not_break_within_a_quantity(text):
    text = text.replace("1_234", "1\u202f234")
    assert rounding.unbroken(text.replace("_", " ")) == text.replace("_", "\u00a0")


@pytest.mark.parametrize(
    ("parameter", "low", "high", "text"),
    [
        (F, -0.0244, 0.404, "0.00 to 0.40"),
        (F, 0.2, 1.14, "0.20 to 1.00"),
        (models.get("biexp")["D_star"], -7.76e-5, 13.5e-3, "2.0 to 13.5"),
        (D, math.nan, 1e-3, "–"),
    ],
)
def test_limits_never_leave_the_bounds(parameter, low, high, text):
    assert rounding.limits(parameter, low, high) == text


def test_shares_and_changes():
    assert [rounding.percent(share) for share in (0.0, 1e-5, 0.1234, 0.9999, 1.0)] == [
        "0.0 %",
        "< 0.1 %",
        "12.3 %",
        "> 99.9 %",
        "100.0 %",
    ]
    assert rounding.percent(math.nan) == "–"
    assert [rounding.change(ratio) for ratio in (1.25, 0.8, 1.001, math.nan)] == [
        "+25 %",
        "−20 %",
        "0 %",
        "–",
    ]


# Digits that somebody asks for by hand; a plain :g writes a setting as it was given.
OWN = {
    ".py": re.compile(r":[-+#, ]*\d*\.(\d+|\{\w[^{}]*\})[efg%]\}|:,[^{}]*\}"),
    ".ts": re.compile(r"\.(toPrecision|toFixed|toLocaleString)\("),
}
# What is no number of a result, each with what it is.
ALLOWED = {
    "cli/screen/progress.py": "the share of a bar",
    "quality/residual_findings.py": "sentences in per cent of S0",
    "report/rerun_command.py": "a command that must give the same numbers again",
    "viewer/page/src/numbers.ts": "the rule itself",
    "viewer/page/src/picture.ts": "a position of the crosshair for NiiVue",
}
MESSAGES = re.compile(r"seconds|clock|distance:|apart:|edge:|\.width:|shift:|degree|of the mask")


def test_nobody_else_formats_results():
    found = {}
    for folder in ("cli", "figures", "report", "quality", "viewer"):
        for path in (PACKAGE / folder).rglob("*"):
            where = path.relative_to(PACKAGE).as_posix()
            if path.suffix not in OWN or "node_modules" in where or where in ALLOWED:
                continue
            for line in path.read_text(encoding="utf-8").splitlines():
                if OWN[path.suffix].search(line) and not MESSAGES.search(line):
                    found.setdefault(where, []).append(line.strip())
    assert not found


def test_what_rounding_leaves_is_not_written_to_sixteen_places():
    r2 = derived.describe("r2", models.get("biexp").parameters)
    written = [rounding.in_unit(r2, value, 3e-16) for value in (0.0, 1.1e-16, -6.7e-16)]
    assert written == ["0", "< 0.0001", "> −0.0001"]
