"""The architecture: layers, a light import, plugins that are complete in their own file."""

import ast
import functools
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ivimkit

PACKAGE = Path(ivimkit.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY = (
    "numba",
    "matplotlib",
    "nibabel",
    "pandas",
    "scipy",
    "starlette",
    "typer",
    "rich",
    "uvicorn",
)

# What each use of the package may not load, one use after the other in one process.
UNWANTED = {
    "pass": {*HEAVY, "numpy"},
    "ivimkit.DWI([[3, 2, 1]], [0, 500, 1000])": {"numba", "matplotlib", "nibabel", "pandas"},
    "ivimkit.organs.get('liver')": {"numba", "matplotlib", "nibabel", "pandas"},
    "ivimkit.models.get('biexp')": {"matplotlib", "nibabel", "pandas"},
    "ivimkit.fit": {"matplotlib", "nibabel", "pandas"},
    "ivimkit.compat.dipy.BOUNDS": {"dipy", "matplotlib", "nibabel", "pandas"},
    "ivimkit.compat.osipi.OsipiVarPro([0, 10, 20, 50, 100, 200, 400, 800])": {
        *("dipy", "matplotlib", "nibabel", "pandas")
    },
    "ivimkit.load": {"matplotlib", "pandas"},
}
LOADED = """
import json, sys
import ivimkit
for use in sys.argv[1:]:
    exec(use)
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@functools.cache
def tree_of(file):
    """Return the syntax tree of a source, which many tests look at."""
    return ast.parse(file.read_text(encoding="utf-8"))


# Twenty times as fast as a syntax tree; what it finds in docstrings, too, does no harm.
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|.*)|import[ \t]+(.*))", re.MULTILINE
)


def imported(text):
    """Return the names that a source imports."""
    names = set()
    for module, parts, modules in IMPORT.findall(text):
        listed = re.sub("#.*", "", parts or modules).strip("() \n").split(",")
        found = [one.split()[0] for one in listed if one.strip()]
        names |= {module, *(f"{module}.{one}" for one in found)} if module else set(found)
    return names


@functools.cache
def imports():
    """Return the names that each source imports."""
    return {file: imported(file.read_text(encoding="utf-8")) for file in SOURCES}


def test_all_imports_are_found():
    text = (
        "from __future__ import annotations\nimport a.b as c, d\n\ndef f():\n"
        "    from e.f import (\n        g,  # Why.\n        h as i,\n    )\n    from j import k\n"
    )
    expected = {"a.b", "d", "e.f", "e.f.g", "e.f.h", "j", "j.k"}
    assert imported(text) == expected | {"__future__", "__future__.annotations"}
    file = PACKAGE / "quality" / "region_fit.py"
    nodes = [node for node in ast.walk(tree_of(file)) if isinstance(node, ast.ImportFrom)]
    assert {node.module for node in nodes} <= imports()[file]


def run(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


# The oldest that were tried and work (`make release-check`). Below 0.26 typer needs parts of click
# that today's click announces to remove.
KNOWN_TO_WORK = {
    **{"jinja2": "3.1", "matplotlib": "3.8", "msgspec": "0.22", "nibabel": "5.3"},
    **{"numba": "0.62.1", "numpy": "2.0"},
    **{"pandas": "2.2", "pillow": "10", "rich": "13.8", "scipy": "1.13", "starlette": "0.40"},
    **{"typer": "0.26", "uvicorn": "0.30"},
}


def test_lower_bounds_are_those_known_to_work(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    bounds = dict(line.split(">=") for line in project["dependencies"])
    assert set(bounds) >= set(KNOWN_TO_WORK)
    for name, oldest in KNOWN_TO_WORK.items():
        found = [tuple(map(int, version.split("."))) for version in (bounds[name], oldest)]
        assert found[0] >= found[1], f"{name}>={bounds[name]} was never seen to work"


def test_layers_and_protected_imports(repository):
    pytest.importorskip("importlinter", reason="import-linter comes with the extra dev")
    settings = repository / "pyproject.toml"
    code = (
        "import sys; from importlinter.cli import lint_imports; "
        "sys.exit(lint_imports(config_filename=sys.argv[1], no_cache=True))"
    )
    done = run(code, str(settings))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_parts_load_only_what_they_use():
    done = run(LOADED, *UNWANTED)
    assert done.returncode == 0, done.stderr
    loaded = [set(json.loads(line)) for line in done.stdout.splitlines()]
    # What an earlier use loads counts for the later ones, too: they may load more, and never less.
    for (use, unwanted), found in zip(UNWANTED.items(), loaded, strict=True):
        assert not found & unwanted, f"{use} loads {sorted(found & unwanted)}"


def test_public_names_are_all_there():
    assert sorted(ivimkit.__all__) == dir(ivimkit)
    for name in ivimkit.__all__:
        assert getattr(ivimkit, name) is not None
    with pytest.raises(AttributeError, match="'ivimkit' has no attribute 'fitt'; it has DWI"):
        _ = ivimkit.fitt


@pytest.mark.parametrize(
    ("folder", "constant"), [("models", "MODEL"), ("methods", "METHOD"), ("priors", "PRIOR")]
)
def test_a_plugin_is_one_file_with_one_constant(folder, constant):
    plugins = [file for file in (PACKAGE / folder).glob("*.py") if file.stem[0] != "_"]
    assert len(plugins) >= 3
    for file in plugins:
        names = {
            target.id
            for node in tree_of(file).body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        assert constant in names, f"{file.name} has no {constant}"


@pytest.mark.parametrize("folder", ["models", "methods", "priors", "uncertainty"])
def test_no_other_source_imports_a_plugin(folder):
    plugins = {
        f"ivimkit.{folder}.{file.stem}"
        for file in (PACKAGE / folder).glob("*.py")
        if file.stem[0] != "_"
    }
    for file, found in imports().items():
        assert not found & plugins, f"{file.relative_to(PACKAGE)} knows {found & plugins}"


def test_kernels_allocate_nothing_and_raise_nothing():
    # What a GPU cannot do; `atoms` computes its table once per protocol, on the host.
    for file in SOURCES:
        if not {"kernels", "models", "methods"} & set(file.relative_to(PACKAGE).parts):
            continue
        if not any(f"@{name}" in file.read_text(encoding="utf-8") for name in DECORATORS):
            continue
        for node in ast.walk(tree_of(file)):
            if not isinstance(node, ast.FunctionDef) or not is_device_function(node):
                continue
            for inner in ast.walk(node):
                where = f"{file.name}: {node.name}"
                assert not isinstance(inner, ast.Raise | ast.Try | ast.ListComp | ast.Dict), where
                if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
                    allowed = inner.value.id != "np" or inner.attr in NUMBERS
                    annotation = inner.value.id == "np" and inner.attr == "intp"
                    assert allowed or annotation, f"{where} uses np.{inner.attr}"


# Types of numbers whose bits the exponentials are made of.
NUMBERS = ("int32", "int64", "float32", "float64")


DECORATORS = {"device", "exact", "finite"}


def is_device_function(node):
    names = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
    return bool(names & DECORATORS)


def test_no_module_is_a_grab_bag():
    forbidden = {"utils", "util", "helpers", "misc", "common", "core"}
    assert not {file.stem for file in SOURCES} & forbidden
