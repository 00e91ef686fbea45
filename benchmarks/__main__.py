"""All benchmarks: `python -m benchmarks [--full] [--voxels N] [--compare FILE] [NAME ...]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import benchmarks
from benchmarks.command import add_options, forwarded
from benchmarks.compare import RecordError, earlier_records
from benchmarks.figure import Figure
from benchmarks.machine import REPOSITORY


def main() -> int:
    """Run the requested figures, each in a separate process."""
    figures = all_figures()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=" | ".join(f"{figure.name}: {figure.title}" for figure in figures),
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="figures (default: all)")
    add_options(parser)
    options = parser.parse_args()
    known = {figure.name: figure for figure in figures}
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; expected one of {', '.join(known)}")
    names = list(options.names)
    if options.compare is not None:
        try:
            earlier = earlier_records(options.compare)
        except RecordError as fault:
            parser.error(str(fault))
        absent = [name for name in names if name not in earlier]
        if absent:
            parser.error(f"{options.compare} has no {absent[0]}; it has {', '.join(earlier)}")
        # Without names: everything there is to compare with.
        names = names or [name for name in known if name in earlier]
        if not names:
            parser.error(f"{options.compare} has no known figure; it has {', '.join(earlier)}")
    chosen = [known[name] for name in names] or figures
    left_out = [f for f in chosen if f.only_full and not options.full and not names]
    failed = []
    for figure in chosen:
        if figure not in left_out and not _run(figure, forwarded(options)):
            failed.append(figure.name)
    if not options.full:
        _tell_of_full([f for f in chosen if f.full_takes and not f.only_full], left_out)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def all_figures() -> list[Figure]:
    """Return the figures, in the order of the page."""
    modules = [
        import_module(f"benchmarks.{module.name}")
        for module in iter_modules(benchmarks.__path__)
        if module.name != "__main__"
    ]
    return sorted(
        (module.FIGURE for module in modules if hasattr(module, "FIGURE")),
        key=lambda figure: figure.order,
    )


def _run(figure: Figure, words: list[str]) -> bool:
    """Measure one figure in a fresh process, so that none warms up or disturbs the next."""
    command = [sys.executable, "-m", f"benchmarks.{figure.name}", *words]
    return subprocess.run(command, cwd=REPOSITORY, check=False).returncode == 0


def _tell_of_full(longer: list[Figure], left_out: list[Figure]) -> None:
    for figure in (*longer, *left_out):
        how = "left out" if figure in left_out else "in short form"
        print(
            f"{figure.name} was {how}; `python -m benchmarks --full {figure.name}` "
            f"takes {figure.full_takes}"
        )


if __name__ == "__main__":
    sys.exit(main())
