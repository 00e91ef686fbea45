"""Page tools: type checker, linter and tests of the sources of the viewer's page, run by npm.

``python tests/page_tools.py check lint`` runs scripts of its package.json. The packages come from
npm's registry, once; where it cannot be reached, a message says so.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
LISTS = ("package.json", "package-lock.json", ".npmrc")


def build_hook() -> ModuleType:
    """Return the module hatch_build, which knows where npm is."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page_packages(hook: ModuleType) -> Path:
    """Return the folder of the page, with the packages that its lock file lists.

    Several processes may ask at the same time: each installs into a folder of its own, and the
    first one to finish moves it to its place.
    """
    page: Path = ROOT / hook.PAGE
    target, lock = page / "node_modules", (page / "package-lock.json").read_text(encoding="utf-8")
    if _is_of(target, lock):
        return page
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="page-", dir=ROOT / "build") as name:
        for file in LISTS:
            shutil.copyfile(page / file, Path(name) / file)
        hook.fetch_packages(Path(name), "--include=dev")
        made = Path(name) / "node_modules"
        (made / ".lock").write_text(lock, encoding="utf-8")
        if not _is_of(target, lock):
            shutil.rmtree(target, ignore_errors=True)
            shutil.move(made, target)
    return page


def _is_of(target: Path, lock: str) -> bool:
    stamp = target / ".lock"
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == lock


def main(scripts: list[str]) -> int:
    """Run scripts of the page; return 1 if one of them fails."""
    hook = build_hook()
    try:
        page = page_packages(hook)
    except hook.PackagesMissingError as error:
        sys.stderr.write(f"the sources of the page are not checked: {error}\n")
        return 0
    for script in scripts:
        done = hook.npm("run", "--silent", script, cwd=page)
        if done.returncode:
            sys.stderr.write(f"{done.stdout}\n{done.stderr}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
