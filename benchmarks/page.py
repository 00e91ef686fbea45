"""Write the pages of benchmarks from the records: `python -m benchmarks.page [--results DIR]`.

One page for each subject in docs/benchmarks, and an overview in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import re
import unicodedata
from pathlib import Path
from typing import Any

from benchmarks.machine import REPOSITORY
from benchmarks.record import RESULTS, as_markdown, draw_charts, read_record
from benchmarks.subjects import SUBJECTS, Subject, subject_of

__all__ = ["overview", "page_text", "pages"]

_NOTE = (
    "<!-- Written by `python -m benchmarks.page` from benchmarks/results/*.json: do not edit. -->"
)
_HEAD = f"""\
# Benchmarks

{_NOTE}

Every number here comes from one command, `make bench` (the long figures with
`make bench ARGS=--full`), which checks each answer against a reference before it reports a time
and stores data, machine, threads, versions and commit with it. `python -m benchmarks.page` writes
these pages from the stored results. Results from another machine are only an indication: compare
ratios, and run it yourself. `make bench ARGS="--compare FILE"` does so and prints ratios to an
earlier run, where FILE is its NAME.json or a folder of them.

The simulated sets are 20 000 voxels with D from 0.5 to 2.5 × 10⁻³ mm²/s, f from 0.03 to 0.4 and
D\\* from 8 to 80 × 10⁻³ mm²/s, all uniform, S0 = 1000, Rician noise; b21 has 21 b-values from 0 to
1000 s/mm² and b13 has 13 from 0 to 800. The mixture of organs has liver, kidney, pancreas and
muscle in equal shares, with log-normal spreads. The real scans are public ones: a prostate (Malagi
et al. 2021, doi:10.1007/s10334-021-00932-1), b ≤ 1000 s/mm², and a healthy abdomen (Wetscherek et
al. 2015, doi:10.1002/mrm.25410), bipolar gradients, diffusion time 70 ms.
"""


def pages(records: list[dict[str, Any]]) -> dict[str, str]:
    """Return the text of all pages by their names in docs."""
    found = {"benchmarks.md": overview(records)}
    for subject in SUBJECTS:
        chosen = [record for record in records if subject_of(record["name"]) is subject]
        if chosen:
            found[f"benchmarks/{subject.name}.md"] = page_text(chosen, subject)
    return found


def overview(records: list[dict[str, Any]]) -> str:
    """Return the overview: what the figures are, and what they found, with links."""
    parts = [_HEAD]
    for subject in SUBJECTS:
        chosen = [record for record in _ordered(records) if record["name"] in subject.records]
        if chosen:
            page = f"benchmarks/{subject.name}.md"
            parts += [f"## [{subject.title}]({page})", "", subject.question, ""]
            for record in chosen:
                title = record["title"].replace("*", r"\*")
                link = f"[{title}]({page}#{_anchor(record['title'])})"
                parts.append(f"- {link}{_how_many_reached(record['targets'])}")
            parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def page_text(records: list[dict[str, Any]], subject: Subject | None = None) -> str:
    """Return a page with one section per record."""
    head = "" if subject is None else _page_head(subject)
    sections = [
        as_markdown(record, images="../images/benchmarks-") for record in _ordered(records)
    ]
    return "\n".join([head, *sections]).rstrip() + "\n"


def _page_head(subject: Subject) -> str:
    return (
        f"# {subject.title}\n\n{_NOTE}\n\n{subject.question} [The overview](../benchmarks.md) "
        "says how the numbers are made, and on which data.\n"
    )


def _how_many_reached(targets: list[dict[str, Any]]) -> str:
    """Return how many targets were reached, and which were not."""
    measured = [target for target in targets if target["reached"] is not None]
    if not measured:
        return ""
    missed = [f"{one['text']}: {one['measured']}" for one in measured if not one["reached"]]
    words = f": {len(measured) - len(missed)} of {len(measured)} targets reached"
    if missed:
        words += f". Not reached: {'; '.join(missed)}".replace("*", r"\*")
    return words


def _ordered(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(records, key=lambda record: (record["order"], record["name"]))


def _anchor(title: str) -> str:
    """Return the anchor that Python-Markdown gives a heading."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def main() -> None:
    """Write the pages and their charts."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.page", description="Write the pages of benchmarks."
    )
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--docs", type=Path, default=REPOSITORY / "docs", metavar="DIR")
    options = parser.parse_args()
    paths = sorted(options.results.glob("*.json"))
    if not paths:
        parser.error(f"{options.results} has no records; run `python -m benchmarks` first")
    records = [read_record(path) for path in paths]
    try:
        texts = pages(records)
    except ValueError as error:
        parser.error(str(error))
    (options.docs / "benchmarks").mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (options.docs / name).write_text(text)
    for record in records:
        draw_charts(record, options.docs / "images", prefix="benchmarks-")
    print(f"written: {', '.join(str(options.docs / name) for name in texts)}")


if __name__ == "__main__":
    main()
