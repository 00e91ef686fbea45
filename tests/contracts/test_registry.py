"""What the registries promise: one file, one plugin, found by itself."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from ivimkit import methods, models
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from plugins import METHODS, MODELS, pairs, works


@pytest.mark.parametrize("registry", [models, methods])
def test_every_file_is_a_plugin_and_every_plugin_a_file(registry):
    folder = Path(registry.__file__).parent
    files = {path.stem for path in folder.glob("[!_]*.py")}
    assert registry.names() == tuple(sorted(files))
    for name in registry.names():
        assert registry.get(name).name == name


@pytest.mark.parametrize("model", MODELS)
def test_models_are_what_their_file_says(model):
    assert isinstance(model, SignalModel)
    assert models.get(model) is model
    assert model.title
    assert not model.fixed_maps
    fits = any(method.full_fit for other, method in pairs() if other is model)
    assert fits, "no method fits this model exactly"


@pytest.mark.parametrize("method", METHODS)
def test_methods_are_final_frozen_sets_of_options(method):
    kind = type(method)
    assert isinstance(method, FitMethod)
    assert methods.get(method) is method
    assert getattr(methods, kind.__name__) is kind
    assert getattr(kind, "__final__", False), "decorate it with @final"
    assert kind.__dataclass_params__.frozen
    assert method.title
    assert isinstance(method.full_fit, bool)
    assert any(works(models.get(name), method) for name in models.names())
    options = method.options()
    assert set(options) == {field.name for field in dataclasses.fields(kind)}
    assert kind.from_options(**json.loads(json.dumps(options))) == method


@pytest.mark.parametrize("method", METHODS)
def test_unknown_options_are_errors_that_list_the_known_ones(method):
    known = ", ".join(method.options()) or "none"
    with pytest.raises(OptionError, match=f"{method.name} has no option 'speed'; it has {known}"):
        methods.get(method.name, speed=3)


@pytest.mark.parametrize("method", METHODS)
def test_methods_have_sources_and_documentation(method, repository):
    assert method.references
    for reference in method.references:
        assert re.search(r"doi:10\.\d{4,}/\S+$", reference), reference
    documentation = type(method).__doc__ or ""
    assert "doi:10." in documentation
    for option in method.options():
        assert f"{option} : " in documentation, f"option {option} is not explained"
    page = (repository / "docs" / "methods.md").read_text(encoding="utf-8")
    assert method.name in page, f"docs/methods.md has no section about method {method.name}"


def test_unknown_model():
    listed = ", ".join(models.names())
    with pytest.raises(OptionError, match=f"unknown model 'tri'; there are {listed}"):
        models.get("tri")


def test_unknown_method():
    listed = ", ".join(methods.names())
    with pytest.raises(OptionError, match=f"unknown method 'magic'; there are {listed}"):
        methods.get("magic")


def test_options_belong_to_the_name_not_beside_an_object():
    with pytest.raises(OptionError, match="options b_split were given in addition to a method"):
        methods.get(methods.get("segmented"), b_split=100)


def test_unknown_attribute_of_the_methods():
    with pytest.raises(AttributeError, match=r"ivimkit.methods.*no attribute 'Magic'"):
        _ = methods.Magic
