"""Large: a scan of 512 x 512 x 200 voxels and 40 volumes, fitted and reported on in 2 GB."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.image import read_image, write_image
from benchmarks.process import ivimkit_command
from ivimkit.io.zarr_maps import ZarrMaps

LARGE, SMALL = (512, 512, 200), (256, 256, 40)
LIMIT_MB, _SHARE_OF_FIT = 2000, 0.75
_MIN_SPEED, _MAX_REPORT_SECONDS = 0.8, 180
_B40 = np.repeat([0, 10, 20, 40, 80, 150, 300, 500, 800, 1000], 4).astype(float)
_HEADER = 352
_PAUSE = 0.02


@dataclass(frozen=True)
class _Run:
    """What a command took: CPU time, and memory that is not a copy of a file."""

    cpu_seconds: float
    seconds: float
    peak: int


def measure(settings: Settings) -> Findings:
    """Fit a scan that fits into memory both ways, and one that does not."""
    with TemporaryDirectory(prefix="ivimkit-large-", dir="/var/tmp") as folder:
        home = Path(folder)
        small = made_scan(SMALL, home / "small.nii", 0.5)
        _run([*fit_words(small, home / "warm")])
        whole = min((_run(fit_words(small, home / "whole")) for _ in range(3)), key=_cpu)
        few = ["--mem-mb", "350"]
        slabs = min((_run(fit_words(small, home / "slabs", *few)) for _ in range(3)), key=_cpu)
        _check_same(home / "whole", home / "slabs")
        zarr = [*few, "--format", "zarr"]
        stored = min((_run(fit_words(small, home / "zarr", *zarr)) for _ in range(3)), key=_cpu)
        _check_store(home / "whole", home / "zarr")
        ratio = whole.cpu_seconds / slabs.cpu_seconds
        rows: list[list[Cell]] = [
            [f"{shape_text(SMALL)}, whole", *_cells(whole)],
            [f"{shape_text(SMALL)}, in slabs", *_cells(slabs)],
            [f"{shape_text(SMALL)}, in slabs, Zarr", *_cells(stored)],
        ]
        peak, report = None, None
        if settings.full:
            large = made_scan(LARGE, home / "large.nii", 0.3)
            options = ["--mem-mb", f"{_SHARE_OF_FIT * LIMIT_MB:g}"]
            run = _run(fit_words(large, home / "large", *options), limit_mb=LIMIT_MB)
            _check_crop(large, home / "large")
            rows.append([f"{shape_text(LARGE)}, in slabs", *_cells(run)])
            store = [*options, "--format", "zarr"]
            other = _run(fit_words(large, home / "large_zarr", *store), limit_mb=LIMIT_MB)
            _check_store(home / "large", home / "large_zarr")
            rows.append([f"{shape_text(LARGE)}, in slabs, Zarr", *_cells(other)])
            peak = max(run.peak, other.peak) / 1e6
            report = _run(_report(home / "large"), limit_mb=LIMIT_MB)
            _check_page(home / "large" / "report.html")
            rows.append([f"{shape_text(LARGE)}, report", *_cells(report)])
    return Findings(
        conditions={
            "data": "decays with noise in a box of 50 % (small) or 30 % (large) of both edges of "
            "each slice, 40 volumes of int16 as `.nii`, 10 distinct b-values; the rest of the "
            "file is sparse",
            "command": "`ivimkit fit --mask --no-figures --threads 2`, method varpro, with "
            f"`--mem-mb 350` (small) and `--mem-mb {_SHARE_OF_FIT * LIMIT_MB:g}` (large) for "
            "slabs, and `--format zarr` for Zarr; then `ivimkit report` of the large one; all of "
            f"the large one with a limit of the system (RLIMIT_DATA) of {LIMIT_MB} MB",
            "time": "CPU time of the process, its start, checksums and compression among it; best "
            "of three",
            "memory": "the most that was not a copy of a file on disk, which the system gives up "
            "when it needs the room",
        },
        checked="all files of maps in slabs are the same, byte for byte, as of the whole; the "
        "numbers in Zarr are those of the files; of the large one the maps of some slices are "
        "those of a fit of these slices alone, and the page has all its sections.",
        tables=[
            Table(
                "40 volumes, 2 threads",
                [
                    Column("scan"),
                    Column("CPU time, s", "{:.1f}"),
                    Column("wall time, s", "{:.1f}"),
                    Column("peak memory, MB", "{:.0f}"),
                ],
                rows,
            )
        ],
        targets=[
            Target(
                f"At least {100 * _MIN_SPEED:.0f} % of the speed of the whole, by CPU time",
                f"{100 * ratio:.0f} %",
                ratio >= _MIN_SPEED,
            ),
            Target(
                f"{shape_text(LARGE)} × 40 in {LIMIT_MB} MB",
                "not run" if peak is None else f"{peak:.0f} MB",
                None if peak is None else peak <= LIMIT_MB,
            ),
            Target(
                f"Its report in {LIMIT_MB} MB, and {_MAX_REPORT_SECONDS} s of CPU time",
                "not run"
                if report is None
                else f"{report.peak / 1e6:.0f} MB, {report.cpu_seconds:.0f} s",
                None
                if report is None
                else report.peak <= LIMIT_MB * 1e6 and report.cpu_seconds <= _MAX_REPORT_SECONDS,
            ),
        ],
    )


def shape_text(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _cpu(run: _Run) -> float:
    return run.cpu_seconds


def _cells(run: _Run) -> list[Cell]:
    return [run.cpu_seconds, run.seconds, run.peak / 1e6]


def made_scan(shape: tuple[int, int, int], path: Path, share: float) -> Path:
    """Write a sparse scan with a box of tissue in every slice, its b-values and its mask."""
    image = np.zeros((1, 1, 1, _B40.size), np.int16)
    write_image(path, image, np.diag([1.0, 1.0, 3.0, 1.0]))
    header = bytearray(path.read_bytes()[:_HEADER])
    for axis, n in enumerate(shape, start=1):
        header[40 + 2 * axis : 42 + 2 * axis] = n.to_bytes(2, "little")
    with path.open("wb") as file:
        file.write(header)
        file.truncate(_HEADER + int(np.prod(shape)) * _B40.size * 2)
    whole = (*shape, _B40.size)
    stored = np.memmap(path, np.int16, "r+", _HEADER, whole, order="F")
    nx, ny = (int(n * share) for n in shape[:2])
    box = _decays(nx, ny)
    for volume in range(_B40.size):
        for z in range(shape[2]):
            stored[:nx, :ny, z, volume] = np.roll(box[..., volume], z, axis=0)
    np.savetxt(path.with_suffix(".bval"), _B40[None], fmt="%g")
    mask = np.zeros(shape, np.uint8)
    mask[:nx, :ny] = 1
    write_image(mask_of(path), mask, np.diag([1.0, 1.0, 3.0, 1.0]))
    return path


def _decays(nx: int, ny: int) -> NDArray[np.int16]:
    random = np.random.default_rng(0)
    f, D, D_star = (
        random.uniform(*ends, (nx, ny, 1)) for ends in ((0.05, 0.3), (5e-4, 2e-3), (0.01, 0.08))
    )
    clean = 1000.0 * (f * np.exp(-_B40 * D_star) + (1.0 - f) * np.exp(-_B40 * D))
    noisy = clean + random.normal(0.0, 20.0, clean.shape)
    return np.clip(np.rint(noisy), 1, None).astype(np.int16)


def mask_of(scan: Path) -> Path:
    return scan.with_name(f"{scan.stem}_mask.nii.gz")


def fit_words(scan: Path, out: Path, *options: str) -> list[str]:
    words = [*ivimkit_command(), "fit", str(scan), "--mask", str(mask_of(scan)), "--no-figures"]
    words += ["--quiet", "--threads", "2", "--overwrite", "--scratch", str(scan.parent)]
    return [*words, *options, "--out", str(out)]


def _report(result: Path) -> list[str]:
    return [*ivimkit_command(), "report", str(result), "--overwrite", "--quiet"]


def _check_page(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    for name in ("summary", "acquisition", "maps", "histograms", "curves", "status", "residuals"):
        if f'<h2 id="{name}">' not in html:
            raise AssertionError(f"the page of the large scan has no section {name}")


def _run(command: list[str], limit_mb: int | None = None) -> _Run:
    """Run a command, and look at its memory while it runs."""

    def limited() -> None:
        if limit_mb is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit_mb * 1_000_000,) * 2)

    before, start, peak = os.times(), time.perf_counter(), 0
    with subprocess.Popen(command, preexec_fn=limited) as process:
        while process.poll() is None:
            peak = max(peak, _own_memory(process.pid))
            time.sleep(_PAUSE)
    if process.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {process.returncode}")
    after = os.times()
    cpu = after.children_user - before.children_user
    cpu += after.children_system - before.children_system
    return _Run(cpu, time.perf_counter() - start, peak)


def _own_memory(number: int) -> int:
    """Return the memory of a process that is not a copy of a file, bytes."""
    try:
        lines = Path(f"/proc/{number}/status").read_text().splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith("RssAnon:")]
    return int(found[0]) * 1024 if found else 0


def _check_same(whole: Path, slabs: Path) -> None:
    for path in sorted(whole.glob("*.nii.gz")):
        if (slabs / path.name).read_bytes() != path.read_bytes():
            raise AssertionError(f"{path.name} of the fit in slabs differs from that of the whole")


def _check_store(images: Path, store: Path) -> None:
    """Compare the maps of a Zarr store with NIfTI files, slice by slice."""
    stored = ik.load_result(store).maps
    assert isinstance(stored, ZarrMaps)
    nx, ny, nz = read_image(images / "D.nii.gz").shape
    for name in stored:
        expected = read_image(images / f"{name}.nii.gz")
        for z in range(0, nz, max(1, nz // 8)):
            found = stored.within((slice(0, nx), slice(0, ny), slice(z, z + 1)))[name]
            if not np.array_equal(found, expected[:, :, z : z + 1], equal_nan=True):
                raise AssertionError(f"{name} of slice {z} as Zarr differs from the NIfTI file")


def _check_crop(scan: Path, maps: Path) -> None:
    dwi = ik.load(scan)
    for z in (0, dwi.shape[2] // 2, dwi.shape[2] - 1):
        signal = dwi.signal[:, :, z : z + 1]
        expected = ik.fit(np.array(signal), _B40, mask=np.asarray(signal[..., 0] > 0))
        for name in expected.model.names:
            found = read_image(maps / f"{name}.nii.gz")[:, :, z : z + 1]
            if not np.array_equal(found, expected[name].astype(np.float32), equal_nan=True):
                raise AssertionError(f"{name} of slice {z} differs from a fit of the slice alone")


FIGURE = Figure(
    order=30,
    name="large",
    title="Larger than memory: a fit in slabs",
    measure=measure,
    full_takes="10 minutes, 2 GB of memory and 8 GB of disk",
)

if __name__ == "__main__":
    run_alone(FIGURE)
