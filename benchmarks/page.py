"""Write docs/benchmarks.md from the records: `python -m benchmarks.page [--results DIR]`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.machine import REPOSITORY
from benchmarks.record import RESULTS, as_markdown, draw_charts, read_record

__all__ = ["page_text"]

_HEAD = """\
<!-- Written by `python -m benchmarks.page` from benchmarks/results/*.json: do not edit. -->
# Benchmarks

Every number here comes from one command, `make bench` (the long figures with
`make bench ARGS=--full`), which checks each answer against a reference before it reports a time
and stores data, machine, threads, versions and commit with it. `python -m benchmarks.page` writes
this page from the stored results. Results from another machine are only an indication: compare
ratios, and run it yourself. `make bench ARGS="--compare FILE"` does so and prints ratios to an
earlier run, where FILE is its NAME.json or a folder of them.

The simulated sets are 20 000 voxels with D from 0.5 to 2.5 × 10⁻³ mm²/s, f from 0.03 to 0.4 and
D\\* from 8 to 80 × 10⁻³ mm²/s, all uniform, S0 = 1000, Rician noise; b21 has 21 b-values from 0 to
1000 s/mm² and b13 has 13 from 0 to 800. The mixture of organs has liver, kidney, pancreas and
muscle in equal shares, with log-normal spreads. The real scans are public ones: a prostate (Malagi
et al. 2021, doi:10.1007/s10334-021-00932-1), b ≤ 1000 s/mm², and a healthy abdomen (Wetscherek et
al. 2015, doi:10.1002/mrm.25410), bipolar gradients, diffusion time 70 ms.
"""


def page_text(records: list[dict[str, Any]]) -> str:
    """Return the page with one section per record."""
    ordered = sorted(records, key=lambda record: record["order"])
    sections = [as_markdown(record, images="images/benchmarks-") for record in ordered]
    return "\n".join([_HEAD, *sections]).rstrip() + "\n"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument(
        "--page", type=Path, default=REPOSITORY / "docs" / "benchmarks.md", metavar="FILE"
    )
    options = parser.parse_args()
    paths = sorted(options.results.glob("*.json"))
    if not paths:
        parser.error(f"{options.results} has no records; run `python -m benchmarks` first")
    records = [read_record(path) for path in paths]
    options.page.write_text(page_text(records))
    for record in records:
        draw_charts(record, options.page.parent / "images", prefix="benchmarks-")
    print(f"written: {options.page} ({', '.join(path.stem for path in paths)})")


if __name__ == "__main__":
    main()
