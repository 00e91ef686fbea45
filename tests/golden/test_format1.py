"""Results written by earlier versions still load, with what they say."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ivimkit as ik

FOLDER = Path(__file__).parent / "format1"


def test_least_squares_result():
    result = ik.load_result(FOLDER / "varpro")
    assert result.model["f"].upper == 0.6
    assert result.model["D_star"].fixed
    assert result.model["D_star"].start == 0.03
    fitted = np.isfinite(result.maps["D"])
    assert result.provenance.status_counts == result.counts()
    np.testing.assert_allclose(
        result.predict([0.0])[fitted][:, 0], result.maps["S0"][fitted], rtol=1e-6
    )
    settings = result.settings
    assert settings.estimator == ik.uncertainty.get("curvature")
    assert settings.sigma == 5.0
    assert (len(settings.weights), settings.weights[0]) == (13, 0.5)
    assert settings.adc_bvals == (0.0, 200.0, 400.0, 800.0)
    assert settings.call == "ivimkit.fit"
    assert (result.sd["D"][fitted] > 0).mean() > 0.9


def test_bayes_result_with_its_prior():
    result = ik.load_result(FOLDER / "bayes")
    assert sorted(result.priors) == ["1"]
    assert result.learned["1"].variance == (1000000.0, 623.5586361876206)
    assert result.settings.labels
    assert np.isfinite(result.maps["D_sd"]).any()


@pytest.mark.parametrize("name", ["varpro", "bayes"])
def test_an_old_result_saves_and_loads_again(name, tmp_path):
    old = ik.load_result(FOLDER / name)
    ik.save(old, tmp_path / "new")
    new = ik.load_result(tmp_path / "new")
    assert list(new.maps) == list(old.maps)
    for key in old.maps:
        np.testing.assert_array_equal(new.maps[key], old.maps[key])
    np.testing.assert_array_equal(new.status, old.status)
    assert json.loads((tmp_path / "new" / "fit.json").read_text())["format_version"] == 2
    assert new.provenance == old.provenance
    assert replace(new.settings, method=old.method) == old.settings
    assert [one.variance for one in new.learned.values()] == [
        one.variance for one in old.learned.values()
    ]


def test_an_old_result_of_a_model_that_is_not_registered(tmp_path):
    shutil.copytree(FOLDER / "varpro", tmp_path / "mine")
    path = tmp_path / "mine" / "fit.json"
    path.write_text(path.read_text().replace('"model": "biexp"', '"model": "mine"'))
    result = ik.load_result(tmp_path / "mine")
    assert (result.model.name, result.model.has_equation) == ("mine", False)
    assert result.provenance.status_counts == result.counts()
    model = ik.models.get("biexp")
    assert np.isfinite(result.predict([100.0], model=model)).any()
