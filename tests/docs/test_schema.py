"""The JSON Schema in the documentation is that of the structs that read and write the files."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from ivimkit.io.record_form import FORMAT

DOCS = Path(__file__).parents[2] / "docs"


def _maker():
    spec = importlib.util.spec_from_file_location("make_schema", DOCS / "make_schema.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_form_has_a_file():
    files = {path.name.removesuffix(".schema.json") for path in (DOCS / "schema").iterdir()}
    assert files == set(_maker().FORMS)


@pytest.mark.parametrize("name", sorted(_maker().FORMS))
def test_file_and_structs_agree(name):
    written = (DOCS / "schema" / f"{name}.schema.json").read_text(encoding="utf-8")
    assert written == _maker().text_of(name), "run python docs/make_schema.py"
    found = json.loads(written)
    record = found["$defs"][found["$ref"].rpartition("/")[2]]
    version = FORMAT if name in _maker().RECORDS else 1
    assert record["properties"]["format_version"]["enum"] == [version]
    # Every part says what it is, and every pattern is one of JSON Schema, too.
    assert all("description" in part for part in found["$defs"].values())
    patterns = re.findall(r'"pattern": "(.*)"', written)
    assert not any("\\\\A" in pattern for pattern in patterns)
