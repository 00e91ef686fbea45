"""Large view: the viewer of a scan of 512 x 512 x 200 voxels, its memory and its times."""

from __future__ import annotations

import os
import re
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.command import run_alone
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.image import read_image
from benchmarks.large import LARGE, LIMIT_MB, SMALL, fit_words, made_scan, mask_of, shape_text
from benchmarks.machine import usable_cores
from benchmarks.process import run_command
from benchmarks.viewer_page import DRAWN, check_voxel, clicks, page_of, served

_TAB_MB, _FIRST, _CLICK = 2000, 5.0, 0.1
_CLICKS, _VOLUMES = 20, 24
_PAUSE = 0.02
# Where tissue is in the axial slice, as shares of the picture.
_ACROSS, _DOWN = (0.52, 0.58), (0.72, 0.95)
_PATIENCE_MS = 600_000

_SHOW = """async ([what, key]) => {
  const { viewer } = window.ivimkit;
  if (what === "base") await viewer.setBase(key);
  else await viewer.setOverlay(viewer.views[0], key);
}"""


@dataclass
class _Watch:
    """What the processes of a viewer take, looked at while it runs."""

    server: int
    peaks: dict[str, float] = field(default_factory=dict)

    def look(self) -> None:
        """Look once: memory of its own of the server, and all of the tab, MB."""
        self._note("server", self.server, "RssAnon")
        for kind, number in _browser_processes():
            self._note(kind, number, "VmRSS")

    def _note(self, kind: str, number: int, what: str) -> None:
        try:
            lines = Path(f"/proc/{number}/status").read_text().splitlines()
        except OSError:
            return
        found = [int(line.split()[1]) for line in lines if line.startswith(f"{what}:")]
        self.peaks[kind] = max(self.peaks.get(kind, 0.0), *(1.024e-3 * kb for kb in found), 0.0)

    @property
    def cpu_seconds(self) -> float:
        """CPU time of server and browser so far."""
        ticks = 0
        for number in (self.server, *(number for _, number in _browser_processes())):
            try:
                after_name = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += int(after_name[11]) + int(after_name[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def _browser_processes() -> Iterator[tuple[str, int]]:
    """Yield the kind and the number of the processes of browsers that this one has started."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = int(status[1])
        except OSError:
            continue
    for number in parents:
        above: int | None = number
        while above is not None and above != os.getpid():
            above = parents.get(above)
        if above is not None and number != os.getpid():
            try:
                words = Path(f"/proc/{number}/cmdline").read_bytes()
            except OSError:
                continue
            # The browser writes the words of some with spaces between them.
            kind = re.search(rb"--type=([a-z-]+)", words)
            if kind is not None:
                yield kind[1].decode(), number


@contextmanager
def _watched(server: int) -> Iterator[_Watch]:
    watch, ended = _Watch(server), threading.Event()

    def run() -> None:
        while not ended.wait(_PAUSE):
            watch.look()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()


@dataclass(frozen=True)
class _Outcome:
    """What was measured of one scan: seconds, and MB."""

    start: float
    first: float
    first_cpu: float
    sent: float
    clicks: tuple[float, ...]
    maps: float
    volumes: float
    region: float
    voxels: int
    peaks: dict[str, float]


def measure(settings: Settings) -> Findings:
    """Look at a usual scan and at a large one, in the same way."""
    load = os.getloadavg()[0]
    outcomes = {}
    for shape, share in ((SMALL, 0.5), (LARGE, 0.3)):
        print(f"large_view: {shape_text(shape)} ...", flush=True)
        with TemporaryDirectory(prefix="ivimkit-large-view-", dir="/var/tmp") as folder:
            scan = made_scan(shape, Path(folder) / "scan.nii", share)
            maps = Path(folder) / "maps"
            run_command(fit_words(scan, maps, "--mem-mb", f"{0.75 * LIMIT_MB:g}"))
            outcomes[shape] = _look(maps, mask_of(scan))
    large = outcomes[LARGE]
    tab, click = large.peaks["renderer"], float(np.median(large.clicks))
    server = large.peaks["server"]
    return Findings(
        conditions={
            "data": "those of the fit in slabs: 40 volumes of int16, 4 or 0.2 GB as `.nii`; every "
            "voxel of the smaller one is drawn, one of each 3 × 3 × 1 of the larger one",
            "command": f"`ivimkit view` with a limit of the system (RLIMIT_DATA) of {LIMIT_MB} "
            "MB; server and browser on the same cores",
            "browser": "headless Chromium, WebGL in software, 1280 × 800 pixels",
            "start": "from the command to its address, checksum of the scan included",
            "first picture": "from the start of the navigation until base image and overlay have "
            "been drawn in all planes",
            "click": f"from the press of the button until curve and estimates are on the page; "
            f"median of {_CLICKS}",
            "map, volume": "until another one has been fetched and drawn, medians of all maps and "
            f"of {_VOLUMES} volumes",
            "mask": "until statistics, mean signal and fit of all voxels of a loaded mask are on "
            "the page",
            "memory": "of the server, what is not a copy of a file on disk; of the tab and of its "
            "graphics process, all that is resident; the most after all of this",
            "other work": f"the load average of the machine was {load:.1f} before",
        },
        checked="after the last click, estimates and legend on the page are the values of the "
        "NIfTI maps at that voxel; the region of a loaded mask has all of its voxels.",
        tables=[
            Table(
                f"Two scans, {len(usable_cores())} cores",
                [Column("what"), *(Column(shape_text(shape), "{:.3g}") for shape in outcomes)],
                _rows(list(outcomes.values())),
            )
        ],
        targets=[
            Target(f"Server in {LIMIT_MB} MB", f"{server:.0f} MB", server <= LIMIT_MB),
            Target(f"Tab in {_TAB_MB} MB", f"{tab:.0f} MB", tab <= _TAB_MB),
            Target(
                f"First picture within {_FIRST:g} s",
                f"{large.first:.1f} s",
                large.first <= _FIRST,
            ),
            Target(
                f"A click is answered within {1000 * _CLICK:g} ms",
                f"{1000 * click:.0f} ms",
                click <= _CLICK,
            ),
        ],
    )


def _rows(outcomes: list[_Outcome]) -> list[list[Cell]]:
    kinds: list[tuple[str, Callable[[_Outcome], Cell]]] = [
        ("start, s", lambda one: one.start),
        ("first picture, s", lambda one: one.first),
        ("first picture, CPU time of server and browser, s", lambda one: one.first_cpu),
        ("sent for it, MB", lambda one: one.sent),
        ("click, s", lambda one: float(np.median(one.clicks))),
        ("another map, s", lambda one: one.maps),
        ("another volume, s", lambda one: one.volumes),
        ("loaded mask, voxels", lambda one: one.voxels),
        ("loaded mask, s", lambda one: one.region),
        ("peak memory of the server, MB", lambda one: one.peaks["server"]),
        ("peak memory of the tab, MB", lambda one: one.peaks["renderer"]),
        ("peak memory of its graphics process, MB", lambda one: one.peaks["gpu-process"]),
    ]
    return [[name, *map(value, outcomes)] for name, value in kinds]


def _look(maps: Path, mask: Path) -> _Outcome:
    start = time.perf_counter()
    with served(maps, _keep_limit) as server, page_of() as page:
        opening = time.perf_counter() - start
        with _watched(server.process) as watch:
            sent: list[int] = []
            page.on("response", lambda answer: sent.append(int(answer.headers["content-length"])))
            before = watch.cpu_seconds
            page.set_default_timeout(_PATIENCE_MS)
            page.goto(server.address, wait_until="commit")
            page.wait_for_selector("html[data-ready]", state="attached")
            first = page.evaluate(DRAWN)
            first_cpu, first_sent = watch.cpu_seconds - before, sum(sent) / 1e6
            page.wait_for_selector("[data-voxel]")
            waited = clicks(page, _CLICKS, _ACROSS, _DOWN)
            check_voxel(page, maps)
            _check_legend(page, maps)
            keys = page.evaluate("[...window.ivimkit.viewer.images.keys()]")
            changes = [_shown(page, "overlay", key) for key in keys if key.startswith("0/")]
            volumes = [key for key in keys if key.startswith("volume/")][:_VOLUMES]
            flips = [_shown(page, "base", key) for key in volumes]
            region, voxels = _loaded(page, mask)
        return _Outcome(
            opening,
            first,
            first_cpu,
            first_sent,
            waited,
            float(np.median(changes)),
            float(np.median(flips)),
            region,
            voxels,
            dict(watch.peaks),
        )


def _keep_limit() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_MB * 1_000_000,) * 2)


def _shown(page: Any, what: str, key: str) -> float:
    """Show another image, and return the time that it takes, s."""
    start = time.perf_counter()
    page.evaluate(_SHOW, [what, key])
    page.evaluate(DRAWN)
    return time.perf_counter() - start


def _check_legend(page: Any, maps: Path) -> None:
    page.wait_for_selector("[data-testid=legend-overlay] output[data-value]")
    legend = page.locator("[data-testid=legend-overlay] output").get_attribute("data-value")
    voxel = tuple(page.evaluate("window.ivimkit.viewer.voxel"))
    factor = page.evaluate("window.ivimkit.viewer.image('0/D').factor")
    expected = float(read_image(maps / "D.nii.gz")[voxel]) * factor
    if not np.isclose(float(legend), expected, rtol=1e-6):
        raise AssertionError(f"the legend says {legend} at {voxel}, and the map {expected}")


def _loaded(page: Any, mask: Path) -> tuple[float, int]:
    """Load a mask, and return the time until it has been measured, s, and its voxels."""
    page.get_by_test_id("tab-regions").click()
    voxels = int(np.count_nonzero(read_image(mask)))
    start = time.perf_counter()
    page.get_by_test_id("load-mask").set_input_files(mask)
    page.wait_for_selector("[data-testid=region-table]")
    seconds = time.perf_counter() - start
    counted = page.locator("[data-testid=regions] .size").inner_text().partition(" voxels")[0]
    if int("".join(filter(str.isdigit, counted))) != voxels:
        raise AssertionError(f"the page counts {counted} voxels, and the mask has {voxels}")
    return seconds, voxels


FIGURE = Figure(
    order=30,
    name="large_view",
    title="Larger than memory: the viewer",
    measure=measure,
    only_full=True,
    full_takes="6 minutes, 2 GB of memory and 8 GB of disk",
)

if __name__ == "__main__":
    run_alone(FIGURE)
