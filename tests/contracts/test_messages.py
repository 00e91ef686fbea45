"""What people read at the command line and in reports has no Python in it."""

import re
from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import InputError, NoiseError
from ivimkit.quality import lights
from ivimkit.report.methods_text import Citations, methods_text
from ivimkit.scan.coverage import CoverageRange
from ivimkit.simulate.protocol import protocol_of
from ivimkit.status import explain, in_words
from ivimkit.testing import measurements
from made_results import biexp_maps, made_result

PYTHON = re.compile(
    r"\w\.\w+\([^)]*\)"  # result.reliable('D_star')
    r"|\b(noise|result|dwi|ik|ivimkit|quality|methods|priors|report)\.[a-z_]+\b"
    r"|\b(scan|mean_fit|bmax|dwi|labels|uncertainty)=|\bTrue\b|\bFalse\b|_AT_(LOWER|UPPER)_"
)
FILES = re.compile(r"\b[\w-]+\.(nii(\.gz)?|npz|bval|bvec|csv|tsv|json|html|png|xlsx)\b")


def has_python(text):
    return PYTHON.search(FILES.sub("", text))


def test_the_pattern_finds_what_was_there():
    for text in (
        "use result.reliable('D_star')",
        "Use noise.from_residuals of a fit",
        "(--bmax 1000, or dwi.select(bmax=1000))",
        "Load it with scan=True",
        "D_star_AT_UPPER_BOUND",
    ):
        assert has_python(text), text
    for text in ("10⁻³ mm²/s", "ivimkit fit --bmax 1000", "prior.npz of a result", "(bmax 1000)"):
        assert not has_python(text), text


@pytest.fixture(scope="module", params=sorted(ik.models.names()))
def model(request):
    return ik.models.get(request.param)


def test_statuses(model):
    for name, sentence, advice in explain(model).values():
        for text in (sentence, advice, in_words(name, model)):
            assert not has_python(text), text


def test_lights_and_methods_of_a_poor_fit():
    status = np.full(60, 32 | 64 | 128 | 256, np.int32)
    result = made_result({**biexp_maps((60,)), "cost": np.full(60, 4.0)}, status=status)
    poor = lights(result, noise=ik.noise.given(1e4), regions=(), findings=())
    for light in (*poor, *lights(result)):
        for text in (light.name, light.reason, light.advice):
            assert not has_python(text), text
    assert not has_python(methods_text(result, Citations()).partition("software")[0])


def test_warnings_about_b_values(model):
    others = {name: column[-1] for name, column in measurements(model).items() if name != "b"}
    for b in ([0, 100, 2000], [5, 300, 900, 1800], [0, 10, 20, 200]):
        acquisition = protocol_of({"b": b, **others})
        for text in model.advice(acquisition):
            assert not has_python(text), text
        assert all(isinstance(part, CoverageRange) for part in acquisition.coverage())


def test_errors_say_python_in_their_notes_only():
    b = np.array([0, 10, 20, 50, 100, 200, 400, 800])
    scan = ik.DWI(np.exp(-1e-3 * b)[np.newaxis], b)
    with pytest.raises(NoiseError) as found:
        ik.noise.from_repeats(scan)
    assert not has_python(str(found.value))
    assert any(has_python(note) for note in found.value.__notes__)
    result = ik.fit(scan)
    with pytest.raises(InputError) as found:
        ik.quality.residuals(replace(result, dwi=None))
    assert not has_python(str(found.value))
    assert "scan=True" in found.value.__notes__[0]
