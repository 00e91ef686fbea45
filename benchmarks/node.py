"""Node: a thousand studies received, fitted and sent, and the memory that takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.command import run_alone
from benchmarks.figure import Column, Figure, Findings, Settings, Table, Target
from benchmarks.machine import REPOSITORY, usable_cores

_STUDIES, _FULL_STUDIES = 100, 1000
_IMAGES = 20
_PIXEL_BYTES = 2 * 128 * 128
_WARM = 0.1
"""Share of the studies after which memory is compared with that at the end."""

_MAX_GROWTH_MB = 5.0
_TOLD = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class _Sample:
    """The process of the node after a number of studies."""

    studies: int
    memory_mb: float
    threads: int
    files: int
    seconds: float


def measure(settings: Settings) -> Findings:
    """Push studies one after the other, and look at the process of the node."""
    number = _FULL_STUDIES if settings.full else _STUDIES
    sys.path.insert(0, str(REPOSITORY / "tests"))
    parts: Any = __import__("node_parts")
    print(f"node: {number} studies of {_IMAGES} images ...", flush=True)
    with TemporaryDirectory(prefix="ivimkit-node-") as folder, _archive(parts) as archive:
        samples = _soak(parts, Path(folder), archive, number)
        expected = {
            uid.replace(".7777.", ".8888.")
            for study in range(1, number + 1)
            for uid in (str(one.SOPInstanceUID) for one in _study(parts, study))
        }
        if set(archive.received) != expected or len(archive.received) != len(expected):
            raise AssertionError(
                f"{len(archive.received)} results arrived; expected {len(expected)}, each once"
            )
    warm = next(one for one in samples if one.studies >= _WARM * number)
    first, last = samples[0], samples[-1]
    growth = last.memory_mb - warm.memory_mb
    pace = number / last.seconds
    told = [min(samples, key=lambda one: abs(one.studies - share * number)) for share in _TOLD]
    return Findings(
        conditions={
            "data": f"{number} studies of {_IMAGES} images of 128 × 128, one association each",
            "node": "receives, looks into each study, fits, sends the results to another process, "
            "removes everything (`keep_days = 0`); each image is on the disk (fsync) before it is "
            "acknowledged",
            "children": "stand-ins that copy the images: what a real fit takes ends with its "
            "process",
            "memory": "resident memory of the process of the node",
        },
        checked="every result of every study arrived at the archive, once.",
        tables=[
            Table(
                f"{number} studies, {len(usable_cores())} cores",
                [
                    Column("studies", "{:d}"),
                    Column("memory, MB", "{:.1f}"),
                    Column("threads", "{:d}"),
                    Column("open files", "{:d}"),
                    Column("time, s", "{:.0f}"),
                ],
                [[s.studies, s.memory_mb, s.threads, s.files, s.seconds] for s in told],
            )
        ],
        targets=[
            Target(
                f"Memory grows by less than {_MAX_GROWTH_MB:g} MB over the last "
                f"{100 - 100 * _WARM:.0f} % of the studies",
                f"{growth:+.1f} MB",
                growth < _MAX_GROWTH_MB if settings.full else None,
            ),
            Target(
                "No thread and no open file is left over",
                f"{last.threads - first.threads:+d} threads, {last.files - first.files:+d} files",
                (last.threads, last.files) == (first.threads, first.files),
            ),
            Target("Studies per second", f"{pace:.1f}", None),
        ],
    )


@contextmanager
def _archive(parts: Any) -> Iterator[Any]:
    archive = parts.Archive().start()
    try:
        yield archive
    finally:
        archive.stop()


def _study(parts: Any, number: int) -> list[Any]:
    pixels = np.zeros(_PIXEL_BYTES, np.uint8).tobytes()
    made = [parts.image(number, one, content=pixels) for one in range(1, _IMAGES + 1)]
    for one in made:
        one.Rows = one.Columns = 128
    return made


def _soak(parts: Any, folder: Path, archive: Any, number: int) -> list[_Sample]:
    settings = parts.write_settings(
        folder, node="keep_days = 0", peers={"mr1": 0, "pacs": archive.port}
    )
    node = parts.NodeProcess(settings, expected=_IMAGES).start()
    start = time.perf_counter()
    samples = [_sample(node.process.pid, 0, 0.0)]
    try:
        for study in range(1, number + 1):
            statuses = parts.push(node.port, *_study(parts, study))
            if any(statuses):
                raise AssertionError(f"study {study} was refused: {statuses}")
            # Not further ahead than a few studies, or the disk would fill up.
            parts.wait_for(lambda: len(archive.received) >= _IMAGES * (study - 5))  # noqa: B023
            samples.append(_sample(node.process.pid, study, time.perf_counter() - start))
        parts.wait_for(lambda: len(archive.received) >= _IMAGES * number)
        parts.wait_for(lambda: not any((folder / "node" / "jobs").iterdir()))
        # The threads of the last associations end by themselves, and close their sockets.
        parts.wait_for(lambda: _at_rest(node.process.pid) == _at_rest_of(samples[0]))
        samples.append(_sample(node.process.pid, number, time.perf_counter() - start))
    except BaseException:
        print(*parts.log_of(folder)[-20:], sep="\n", file=sys.stderr)
        raise
    finally:
        node.kill()
    return samples


def _at_rest(pid: int) -> tuple[int, int]:
    return _at_rest_of(_sample(pid, 0, 0.0))


def _at_rest_of(sample: _Sample) -> tuple[int, int]:
    return sample.threads, sample.files


def _sample(pid: int, studies: int, seconds: float) -> _Sample:
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return _Sample(
        studies,
        int(status["VmRSS"].split()[0]) / 1000,
        int(status["Threads"]),
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        seconds,
    )


FIGURE = Figure(
    order=25,
    name="node",
    title="Node: memory over a thousand studies",
    measure=measure,
    full_takes="10 minutes",
)

if __name__ == "__main__":
    run_alone(FIGURE)
