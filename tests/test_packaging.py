"""What is published: the version, the bounds, the conda recipe, the changelog, the workflows."""

import importlib.util
import re
import shutil
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

pytest.importorskip("hatch_vcs", reason="hatch-vcs comes with the extra test")

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
CONDA_NAMES = {"matplotlib": "matplotlib-base"}


@pytest.fixture(scope="module")
def settings(repository):
    return tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def recipe(repository):
    return yaml.safe_load((repository / "recipe" / "recipe.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def changelog(repository):
    """The module that reads it for the release workflow."""
    spec = importlib.util.spec_from_file_location("notes", repository / "release" / "notes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -------------------------------------------------------------------------------- the version


@pytest.fixture
def tree(repository, tmp_path):
    """A folder with the files that say what the version is."""
    for name in ("pyproject.toml", ".git_archival.txt", ".gitattributes"):
        shutil.copy(repository / name, tmp_path / name)
    return tmp_path


def git(folder, *arguments):
    return subprocess.run(
        [*GIT, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def version_of(folder):
    """The version with which this folder would be built."""
    from hatchling.metadata.core import ProjectMetadata
    from hatchling.plugin.manager import PluginManager

    return ProjectMetadata(str(folder), PluginManager()).version


def test_version_with_git(tree, settings):
    fallback = settings["tool"]["hatch"]["version"]["fallback-version"]
    git(tree, "init", "--quiet")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message", "one")
    # Before the first tag, and in a clone without tags.
    assert re.fullmatch(re.escape(fallback)[:-1] + r"1\+g[0-9a-f]+", version_of(tree))
    git(tree, "tag", "v0.7.0")
    assert version_of(tree) == "0.7.0"
    git(tree, "commit", "--quiet", "--allow-empty", "--message", "two")
    git(tree, "tag", "with-9-numbers")
    assert re.fullmatch(r"0\.7\.1\.dev1\+g[0-9a-f]+", version_of(tree))
    git(tree, "tag", "v0.8.0rc1")
    assert version_of(tree) == "0.8.0rc1"


def test_version_of_an_archive(tree, tmp_path_factory, settings):
    git(tree, "init", "--quiet")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message", "one")

    def archived(name):
        folder = tmp_path_factory.mktemp(name)
        git(tree, "archive", "--output", str(folder / "a.tar"), "HEAD")
        shutil.unpack_archive(folder / "a.tar", folder, filter="data")
        return version_of(folder)

    assert archived("untagged") == settings["tool"]["hatch"]["version"]["fallback-version"]
    git(tree, "tag", "v0.7.0")
    assert archived("tagged") == "0.7.0"


def test_version_without_git(tree, settings):
    with pytest.warns(UserWarning, match="git archive did not support describe output"):
        version = version_of(tree)
    assert version == settings["tool"]["hatch"]["version"]["fallback-version"]


def test_the_version_of_a_tree_without_tags_is_the_next_one(settings, changelog, recipe):
    fallback = settings["tool"]["hatch"]["version"]["fallback-version"]
    released = [
        Version(heading.split(" ")[0])
        for heading in changelog.sections(changelog.CHANGELOG.read_text("utf-8"))
        if heading != "Unreleased"
    ]
    assert all(one < Version(fallback) for one in released)
    assert fallback in recipe["context"]["version"]


# ---------------------------------------------------------------- dependencies and their bounds


def bounds(lines):
    """The lower bounds of requirements, by name."""
    parsed = map(Requirement, lines)
    return {one.name: str(one.specifier).removeprefix(">=") for one in parsed}


def test_conda_recipe_is_in_step(settings, recipe):
    project = settings["project"]
    context = recipe["context"]
    assert project["requires-python"] == f">={context['python_min']}"
    wanted = {
        CONDA_NAMES.get(name, name): lowest
        for name, lowest in bounds(project["dependencies"]).items()
    }
    run = [line for line in recipe["requirements"]["run"] if not line.startswith("python ")]
    assert dict(line.split(" >=") for line in run) == wanted
    host = [line for line in recipe["requirements"]["host"] if ">=" in line]
    assert dict(line.split(" >=") for line in host) == bounds(settings["build-system"]["requires"])
    (entry,) = recipe["build"]["python"]["entry_points"]
    assert dict([entry.split(" = ")]) == project["scripts"]
    assert recipe["about"]["license"] == project["license"]
    assert recipe["about"]["summary"] == project["description"]


def test_versions_of_the_container_are_allowed(settings, repository):
    text = (repository / "containers" / "constraints.txt").read_text("utf-8")
    pinned = dict(line.split("==") for line in text.split())
    optional = settings["project"]["optional-dependencies"]
    lines = settings["project"]["dependencies"] + [
        line for extra in ("cluster", "parquet", "preprocess") for line in optional[extra]
    ]
    for one in map(Requirement, lines):
        assert one.specifier.contains(pinned[one.name.lower()]), one


def test_every_dependency_has_a_lower_bound_and_no_upper_one(settings):
    project = settings["project"]
    for lines in (project["dependencies"], *project["optional-dependencies"].values()):
        for one in map(Requirement, lines):
            bounded = [part.operator for part in one.specifier]
            assert one.name == "ivimkit" or bounded == [">="], one


# -------------------------------------------------------------------- changelog and workflows


def test_notes_of_a_release(changelog):
    text = "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2027-01-31\n\n### Added\n\n- More.\n"
    assert changelog.notes(text, "v0.2.0") == "### Added\n\n- More."
    for wrong, tag, why in (
        (text, "v0.3.0", r"has no section '## 0\.3\.0 - YYYY-MM-DD'"),
        (text.replace("- More.", ""), "v0.2.0", r"the section of 0\.2\.0 .* is empty"),
        (text.replace("-31", "-32"), "v0.2.0", "day"),
        (text.replace("0.2.0 - ", "0.2 "), "v0.2.0", r"has a section '0\.2 2027-01-31'"),
        (text.replace("## Unreleased", "## Unreleased\n- x"), "v0.2.0", "under 'Unreleased'"),
    ):
        with pytest.raises(ValueError, match=why):
            changelog.notes(wrong, tag)


def test_changelog_can_be_read(changelog):
    found = changelog.sections(changelog.CHANGELOG.read_text("utf-8"))
    assert next(iter(found)) == "Unreleased"
    for heading in [*found][1:]:
        changelog.notes(f"## {heading}\n\n{found[heading]}", heading.split(" ")[0])


def test_every_python_of_the_classifiers_is_tested(settings, repository):
    named = [
        line.rpartition(" ")[2]
        for line in settings["project"]["classifiers"]
        if re.search(r":: 3\.\d+$", line)
    ]
    workflow = yaml.safe_load((repository / ".github/workflows/tests.yml").read_text("utf-8"))
    matrix = workflow["jobs"]["environments"]["strategy"]["matrix"]
    assert matrix["python"] == named
    assert settings["project"]["requires-python"] == f">={named[0]}"
    assert {(one["python"], one["versions"]) for one in matrix["include"]} >= {
        (named[0], "oldest")
    }


def test_workflows_may_do_no_more_than_they_need(repository):
    more = {}
    for path in (repository / ".github" / "workflows").glob("*.yml"):
        workflow = yaml.safe_load(path.read_text("utf-8"))
        assert workflow["permissions"] == {"contents": "read"}, path.name
        assert "concurrency" in workflow, path.name
        for name, job in workflow["jobs"].items():
            assert "uses" in job or "timeout-minutes" in job, f"{path.name}: {name}"
            granted = {
                key for key, value in job.get("permissions", {}).items() if value == "write"
            }
            if granted:
                more[f"{path.stem}: {name}"] = granted
    assert more == {
        "container: image": {"packages"},
        "docs: deploy": {"pages", "id-token"},
        "release: container": {"packages"},
        "release: github": {"contents"},
        "release: pypi": {"id-token"},
    }
