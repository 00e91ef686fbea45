"""Models from elsewhere: registered, of another package, from a file."""

import dataclasses
import sys
import types

import pytest

from ivimkit import models
from ivimkit.errors import OptionError
from ivimkit.extend import plugin

BIEXP = models.get("biexp")
MINE = dataclasses.replace(BIEXP, name="mine")

FILE = """
import dataclasses
import ivimkit as ik

MODEL = dataclasses.replace(ik.models.get("biexp"), name="mine")
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE, encoding="utf-8")
    return path


@pytest.fixture
def packaged(monkeypatch):
    """Return a function that pretends that an installed package adds a model."""
    plugin.entry_points.cache_clear()

    def add(name, load):
        entry = types.SimpleNamespace(
            name=name,
            value=f"theirs.{name}:MODEL",
            load=load,
            dist=types.SimpleNamespace(name="theirs"),
        )
        found = {"ivimkit.models": [entry]}
        monkeypatch.setattr(plugin.metadata, "entry_points", lambda group: found.get(group, []))
        # The command line, if it was imported in between, has asked for the real ones.
        plugin.entry_points.cache_clear()

    yield add
    plugin.entry_points.cache_clear()


def test_a_registered_model_has_its_name_until_it_is_removed():
    models.register(MINE)
    try:
        models.register(MINE)
        assert models.get("mine") is MINE
        assert "mine" in models.names()
        with pytest.raises(OptionError, match="there is another model 'mine'; expected a new"):
            models.register(dataclasses.replace(MINE, title="another one"))
    finally:
        models.unregister("mine")
    with pytest.raises(OptionError, match="unknown model 'mine'; there are ballistic"):
        models.get("mine")
    with pytest.raises(OptionError, match="'mine' was not registered; registered: none"):
        models.unregister("mine")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (dataclasses.replace(BIEXP, title="mine"), "there is another model 'biexp'"),
        ("biexp", "to be registered is 'biexp'; expected a SignalModel"),
    ],
)
def test_what_cannot_be_registered(what, said):
    with pytest.raises(OptionError, match=said):
        models.register(what)


def test_a_model_of_another_package_is_found(packaged):
    packaged("mine", lambda: MINE)
    assert models.get("mine") is MINE
    assert "mine" in models.names()


def test_another_package_cannot_replace_a_model(packaged):
    packaged("biexp", lambda: MINE)
    assert models.get("biexp") is BIEXP


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (lambda: 1 / 0, r"package theirs cannot be imported from theirs.mine:MODEL \(ZeroDiv"),
        (lambda: "text", "from theirs.mine:MODEL, is 'text'; expected a SignalModel"),
        (lambda: BIEXP, "from theirs.mine:MODEL, is called 'biexp' there; expected one name"),
    ],
)
def test_a_broken_package_is_named(packaged, load, said):
    packaged("mine", load)
    with pytest.raises(OptionError, match=said):
        models.get("mine")


def test_a_model_from_a_file(file):
    model = models.from_file(file)
    assert model.name == "mine"
    assert models.from_file(str(file)) is model
    file.write_text(FILE.replace("mine", "other"), encoding="utf-8")
    assert models.from_file(file).name == "other"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MODEL = 1", "MODEL of the file .*mine.py is 1; expected a SignalModel"),
        ("", "MODEL of the file .*mine.py is not there; expected a SignalModel"),
        ("x = 1\ny = x / 0", "cannot be run .line 2, ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)", "cannot be run .line 2, SystemExit: 3"),
        ("x = (", r"cannot be run .SyntaxError: '\(' was never closed"),
        (b"\x00\xff", "cannot be run"),
    ],
)
def test_a_file_that_is_not_a_model(file, text, said):
    before = set(sys.modules)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(OptionError, match=said):
        models.from_file(file)
    assert "cannot be run" not in said or set(sys.modules) == before


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(OptionError, match=r"no file .*none.py; expected a Python file that def"):
        models.from_file(tmp_path / "none.py")


def test_a_broken_package_does_not_hide_the_other_models(packaged):
    from typer.testing import CliRunner

    from ivimkit.cli import app

    packaged("mine", lambda: 1 / 0)
    told = CliRunner().invoke(app, ["methods"])
    assert told.exit_code == 0, told.output
    assert "not available" in told.stdout
    assert "tri-exponential IVIM" in told.stdout
