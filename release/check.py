"""Check what a release would upload, in clean environments: ``make release-check``.

Builds the source distribution, and the wheel from it; both contain the page of the viewer. Then,
for each Python, with the oldest versions of all dependencies that pyproject.toml allows and with
the newest: installs the wheel alone and tries it (smoke.py), then installs all extras and runs the
quick half of the tests. Only wheels are installed, nothing is compiled. An extra for which a
Python has no wheels is left out, and named.

Examples
--------
    make release-check
    make release-check ARGS="--python 3.11 --python 3.13 --versions newest --no-tests"
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "release"
PAGE = "ivimkit/viewer/static/index.html"
TOOLS = ("uv", "build", "twine")
RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}

NOT_TRIED = {"cuda", "cuda13", "test", "bench", "docs", "release", "dev"}
"""Extras that need a GPU, and those of developers."""

TEST_TOOLS = (
    *("cryptography", "hatchling", "hatch-vcs", "hypothesis", "playwright"),
    *("pytest>=8.2", "pytest-xdist", "pyyaml"),
)
"""The newest of these, in every environment: the tests are run with them, not ivimkit."""

# Warnings of an old package about a new one are not ours to mend.
OLD_WARNINGS = ("-W", "default::DeprecationWarning", "-W", "default::PendingDeprecationWarning")


@dataclass(frozen=True)
class Environment:
    """A clean environment.

    Parameters
    ----------
    tools : Path
        Folder of the installer, see `tools_folder`.
    python : str
        Version or path of the interpreter.
    versions : str
        A name in `RESOLUTIONS`.
    purpose : str
        What it is for, in the name of its folder.
    """

    tools: Path
    python: str
    versions: str
    purpose: str = "check"

    @property
    def uv(self) -> Path:
        """The installer."""
        return self.tools / "uv"

    @property
    def folder(self) -> Path:
        """Where it is."""
        python = "-".join(Path(self.python).parts[-3:]).strip("/\\")
        return BUILD / f"{self.purpose}-{python}-{self.versions}"

    @property
    def interpreter(self) -> Path:
        """Its Python."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def make(self) -> None:
        """Make it, empty."""
        run(self.uv, "venv", "--quiet", "--clear", "--python", self.python, self.folder)

    def install(self, *what: str | Path) -> None:
        """Install packages."""
        run(self.uv, "pip", "install", "--quiet", "--python", self.interpreter, *what)

    def pinned(self, extras: list[str]) -> tuple[Path, list[str]]:
        """Return a file with the versions of everything, and the extras that have wheels."""
        table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        available = []
        for extra in extras:
            needed = requirements(table, [extra])
            if self._resolve(needed, self.folder.with_name(f"{self.folder.name}.txt")) is None:
                available.append(extra)
        pins = self.folder.with_name(f"{self.folder.name}.txt")
        refused = self._resolve(requirements(table, available), pins)
        if refused is not None:
            sys.exit(f"Python {self.python}, {self.versions}: {refused}")
        return pins, available

    def _resolve(self, needed: list[str], target: Path) -> str | None:
        """Write the versions that fit; return why none do."""
        command = [
            *(self.uv, "pip", "compile", "--quiet", "--only-binary", ":all:", "--no-annotate"),
            *("--python", self.python, "--resolution", RESOLUTIONS[self.versions]),
            *("--output-file", target, "-"),
        ]
        target.unlink(missing_ok=True)
        done = subprocess.run(
            command, input="\n".join(needed), capture_output=True, text=True, check=False
        )
        return done.stderr if done.returncode else None


def main() -> int:
    """Build, then try each environment; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    this = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser.add_argument("--python", action="append", help=f"version or path; default {this}")
    parser.add_argument("--versions", choices=RESOLUTIONS, action="append", help="default: both")
    parser.add_argument("--no-tests", action="store_true", help="only try the wheel alone")
    parser.add_argument("--wheel", type=Path, help="try this wheel; build nothing")
    parser.add_argument("--build-only", action="store_true", help="build, and try nothing")
    given = parser.parse_args()

    os.environ.pop("PYTHONPATH", None)
    # The certificates of this machine, as pip takes them.
    os.environ.setdefault("UV_SYSTEM_CERTS", "1")
    tools = tools_folder()
    wheel = given.wheel.resolve() if given.wheel else build(tools)
    if given.build_only:
        return 0
    failed = []
    for python in given.python or [this]:
        for versions in given.versions or RESOLUTIONS:
            environment = Environment(tools, python, versions)
            step(f"Python {python}, {versions} versions")
            try:
                try_wheel(environment, wheel, tests=not given.no_tests)
            except subprocess.CalledProcessError as error:
                failed.append(f"Python {python}, {versions}: {error}")
    step("\n".join(["failed:", *failed]) if failed else "all of it works")
    return len(failed) > 0


def step(text: str) -> None:
    """Print what comes next."""
    print(f"==> {text}", flush=True)


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command."""
    subprocess.run([str(part) for part in command], check=True, cwd=cwd)


def tools_folder() -> Path:
    """Return the folder with the programs that build and install, in an environment of theirs."""
    folder = BUILD / "tools"
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    if shutil.which("twine", path=programs) is None:
        venv.create(folder, with_pip=True, clear=True)
        run(programs / "python", "-m", "pip", "install", "--quiet", *TOOLS)
    return programs


def build(tools: Path) -> Path:
    """Build both distributions, look into them, and return the wheel, made from the sdist."""
    step("building the sdist, and the wheel from it")
    shutil.rmtree(BUILD / "dist", ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="ivimkit-release-") as name:
        # Without a path to build, `build` makes the wheel from the sdist it has just made.
        run(tools / "python", "-m", "build", "--outdir", BUILD / "dist", ROOT, cwd=Path(name))
    (sdist,) = (BUILD / "dist").glob("*.tar.gz")
    (wheel,) = (BUILD / "dist").glob("*.whl")
    with tarfile.open(sdist) as archive:
        inside = [one.partition("/")[2] for one in archive.getnames()]
    require(f"src/{PAGE}" in inside, f"{sdist.name} has no page of the viewer")
    require("src/ivimkit/viewer/page/package.json" in inside, f"{sdist.name} has no page sources")
    with zipfile.ZipFile(wheel) as archive:
        inside = archive.namelist()
    require(PAGE in inside, f"{wheel.name} has no page of the viewer")
    outside = [one for one in inside if not one.startswith(("ivimkit/", "ivimkit-"))]
    require(not outside, f"{wheel.name} has files of others: {outside[:5]}")
    run(tools / "python", "-m", "twine", "check", "--strict", sdist, wheel)
    sizes = ", ".join(f"{one.name} {one.stat().st_size / 1e6:.1f} MB" for one in (sdist, wheel))
    print(f"    {sizes}", flush=True)
    return wheel


def require(fine: bool, fault: str) -> None:
    """End with a sentence if something is wrong."""
    if not fine:
        sys.exit(fault)


def requirements(project: dict[str, object], extras: list[str]) -> list[str]:
    """Return the dependencies of ivimkit with some extras, those that extras name included."""
    optional: dict[str, list[str]] = project["optional-dependencies"]  # type: ignore[assignment]
    needed = [str(one) for one in project["dependencies"]]  # type: ignore[attr-defined]
    waiting = list(extras)
    while waiting:
        for one in optional[waiting.pop()]:
            if one.startswith("ivimkit["):
                waiting += one.removeprefix("ivimkit[").removesuffix("]").split(",")
            else:
                needed.append(one)
    return needed


def try_wheel(environment: Environment, wheel: Path, *, tests: bool) -> None:
    """Try the wheel with its dependencies alone, then with all extras and the tests."""
    start = time.perf_counter()
    environment.make()
    pins, _ = environment.pinned([])
    environment.install("--requirements", pins)
    environment.install("--no-deps", wheel)
    version = wheel.name.split("-")[1]
    with tempfile.TemporaryDirectory(prefix="ivimkit-smoke-") as place:
        script = ROOT / "release" / "smoke.py"
        run(environment.interpreter, "-I", script, "--version", version, cwd=Path(place))
    if tests:
        table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        extras = sorted(set(table["optional-dependencies"]) - NOT_TRIED)
        pins, available = environment.pinned(extras)
        absent = sorted(set(extras) - set(available))
        print(f"    extras without wheels: {', '.join(absent) or 'none'}", flush=True)
        environment.install("--requirements", pins)
        environment.install("--constraint", pins, *TEST_TOOLS)
        warnings = OLD_WARNINGS if environment.versions == "oldest" else ()
        options = ("--fast", "--quiet", "-p", "no:cacheprovider", "--numprocesses", "auto")
        run(environment.interpreter, "-m", "pytest", *options, *warnings)
    print(f"    took {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
