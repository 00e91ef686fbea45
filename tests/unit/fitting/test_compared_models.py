"""supported_models: which models a scan supports, and on which values they are compared."""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.fitting import compared_models
from ivimkit.fitting.compared_models import asked_models, supported_models
from ivimkit.fitting.comparison import _require_same_data

B = np.array(ik.simulate.B21, dtype=float)
VARPRO = ik.methods.get("varpro")


def supported(models, criterion, dwi=None, **options):
    scan = ik.DWI(np.ones((2, B.size)), B) if dwi is None else dwi
    given = {"is_noise_known": False, "is_choice_free": True, **options}
    return supported_models(asked_models(models, criterion), VARPRO, scan, criterion, **given)


def test_all_are_those_registered_the_simplest_first():
    found = asked_models("all", "aicc")
    assert {model.name for model in found} == set(ik.models.names())
    free = [model.n_free for model in found]
    assert free == sorted(free)
    with pytest.raises(OptionError, match="or 'all'"):
        asked_models("every", "aicc")


def test_of_all_models_the_criterion_leaves_out_those_it_cannot_compare():
    by_evidence = supported("all", "evidence")
    assert {"biexp", "kurtosis", "triexp"} <= {model.name for model in by_evidence.models}
    assert "biexp_t2" in by_evidence.left_out
    by_f_test = supported("all", "f_test")
    assert [model.name for model in by_f_test.models][:3] == ["monoexp", "sivim", "biexp"]
    assert "is not a special case" in by_f_test.left_out["triexp"]
    with pytest.raises(OptionError, match="are not nested"):
        supported(("biexp", "stretched", "kurtosis"), "f_test", is_choice_free=False)


def test_a_scan_without_room_for_a_model_leaves_it_out():
    few = ik.DWI(np.ones((2, 7)), [0, 20, 50, 100, 200, 400, 800])
    found = supported("all", "aicc", few)
    assert [model.name for model in found.models] == ["monoexp", "sivim", "biexp"]
    assert "leave no room" in found.left_out["kurtosis"]


@pytest.fixture
def directional():
    """A scan of three directions, and a model that claims to depend on them."""
    b = np.repeat([0.0, 20, 50, 100, 200, 400, 800], 3)
    vectors = np.tile(np.eye(3), (7, 1))
    monoexp = ik.models.get("monoexp")
    axes = ("b", "gx", "gy", "gz")

    class Directional(type(monoexp)):
        variables = axes

    own = {one.name: getattr(monoexp, one.name) for one in fields(monoexp) if one.init}
    model = Directional(**{**own, "name": "tensor"})
    return ik.DWI(np.ones((2, b.size)), ik.Acquisition(b, vectors)), model


def test_one_model_of_directions_takes_the_average_from_all(directional, monkeypatch):
    dwi, model = directional
    monkeypatch.setattr(compared_models, "_unsupported", lambda *_: None)
    options = {"is_noise_known": False, "is_choice_free": False}
    both = [ik.models.get("monoexp"), ik.models.get("biexp")]
    assert supported_models(both, VARPRO, dwi, "aicc", **options).dwi.fit_bvals.size == 7
    with_it = supported_models([*both, model], VARPRO, dwi, "aicc", **options)
    assert with_it.dwi.fit_bvals.size == 1 + 6 * 3
    # A fit of a model of b alone keeps them apart.
    assert with_it.dwi.for_variables(("b",)).fit_bvals.size == 1 + 6 * 3


def test_a_model_of_directions_is_left_out_without_them(directional):
    dwi, model = directional
    without = ik.DWI(dwi.signal, dwi.acquisition.bvals)
    models = [ik.models.get("monoexp"), ik.models.get("biexp"), model]
    found = supported_models(
        models, VARPRO, without, "aicc", is_noise_known=False, is_choice_free=False
    )
    assert "directions of the gradients are not known" in found.left_out["tensor"]
    assert found.dwi.fit_bvals.size == 7


def test_fits_of_different_values_are_not_compared():
    result = ik.fit(np.ones((1, B.size)) * np.exp(-B * 1e-3), B, model="monoexp")
    counts = [2.0, *result.provenance.counts[1:]]
    other = replace(result, provenance=replace(result.provenance, counts=counts))
    _require_same_data([result, result])
    with pytest.raises(AcquisitionError, match="fitted to different values, 21 and 21 per voxel"):
        _require_same_data([result, other])
    short = SimpleNamespace(
        model=result.model, provenance=SimpleNamespace(bvals=[0.0], counts=[1.0])
    )
    with pytest.raises(AcquisitionError, match="21 and 1 per voxel"):
        _require_same_data([result, short])
