"""Try an installed ivimkit in an empty folder: what its first user does, in a few minutes.

Runs with the Python of a clean environment and nothing but ivimkit and its dependencies, see
check.py. It ends at the first thing that is wrong.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

MAX_IMPORT_S = 0.3
MAX_RELATIVE_ERROR = 0.01
"""Of D in a phantom without noise."""

PYTHON = [sys.executable, "-I"]
IVIMKIT = [*PYTHON, "-m", "ivimkit"]

XARRAY = "import ivimkit as ik; ik.load_result('out').to_xarray()"
ROI = [*IVIMKIT, "roi", "out", "--labels", "scan/labels.nii.gz", "--out"]
BIDS = [*IVIMKIT, "bids", "paths.tsv", "cohort", "participant", "--dask", "tcp://127.0.0.1:9"]
MISSING = (
    # Extra, the package that shows whether it is there, and what asks for it.
    ("zarr", "zarr", [*IVIMKIT, "check", "scan.zarr"]),
    ("hdf5", "h5py", [*IVIMKIT, "check", "scan.h5", "--bval", "0,100,800"]),
    ("remote", "fsspec", [*IVIMKIT, "check", "https://127.0.0.1:9/dwi.nii.gz"]),
    ("s3", "s3fs", [*IVIMKIT, "check", "s3://bucket/dwi.nii.gz"]),
    ("gs", "gcsfs", [*IVIMKIT, "check", "gs://bucket/dwi.nii.gz"]),
    ("excel", "openpyxl", [*ROI, "table.xlsx"]),
    ("parquet", "pyarrow", [*ROI, "table.parquet"]),
    ("xarray", "xarray", [*PYTHON, "-c", XARRAY]),
    ("dicom", "pydicom", [*IVIMKIT, "dicom", "run", "scan", "dicom-out"]),
    ("pacs", "pynetdicom", [*IVIMKIT, "node", "check", "--config", "node.toml"]),
    ("preprocess", "dipy", [*IVIMKIT, "preprocess", "scan/dwi.nii.gz", "--steps", "denoise"]),
    ("cluster", "distributed", BIDS),
)


def main() -> None:
    """Try everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", required=True, help="what ivimkit has to say it is")
    parser.add_argument("--no-page", action="store_true", help="the page of the viewer is absent")
    given = parser.parse_args()
    check_version(given.version)
    check_import_time()
    check_fit()
    check_page(expected=not given.no_page)
    check_missing_extras()
    check_demo()
    say("all of it works")


def say(text: str) -> None:
    """Print what is done."""
    print(f"    {text}", flush=True)


def run(command: list[str], code: int = 0) -> str:
    """Run a command, and return its output without line breaks in sentences."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    if done.returncode != code:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{output[-4000:]}")
    return output


def check_version(version: str) -> None:
    """The version is that of the wheel, in metadata, in Python and on the command line."""
    found = run([*PYTHON, "-c", "import ivimkit; print(ivimkit.__version__, ivimkit.__file__)"])
    told, file = found.strip().split(" ", 1)
    command = run([*IVIMKIT, "--version"]).split()[1]
    names = {importlib.metadata.version("ivimkit"), told, command}
    if names != {version} or not Path(file).resolve().is_relative_to(Path(sys.prefix).resolve()):
        sys.exit(f"ivimkit says it is {', '.join(names)} in {file}; expected {version}")
    say(f"version {version}, from {Path(file).parent}")


def check_import_time() -> None:
    """``import ivimkit`` is quick, the best of several."""
    code = "import time; t = time.perf_counter(); import ivimkit; print(time.perf_counter() - t)"
    best = min(float(run([*PYTHON, "-c", code])) for _ in range(5))
    if best > MAX_IMPORT_S:
        sys.exit(f"import ivimkit took {best:.3f} s; expected at most {MAX_IMPORT_S} s")
    say(f"import ivimkit takes {best * 1000:.1f} ms")


def check_fit() -> None:
    """A phantom without noise gives its values back; figures, record and report are there."""
    run([*IVIMKIT, "simulate", "--shape", "24,18,4", "--snr", "inf", "--out", "scan"])
    scan, mask = "scan/dwi.nii.gz", "scan/mask.nii.gz"
    run([*IVIMKIT, "fit", scan, "--mask", mask, "--method", "varpro", "--out", "out"])
    code = (
        "import ivimkit as ik, nibabel as nib, numpy as np;"
        "truth = nib.load('scan/true_D.nii.gz').get_fdata();"
        "maps = ik.load_result('out').maps;"
        "print(np.nanmedian(np.abs(maps['D'] / truth - 1)))"
    )
    error = float(run([*PYTHON, "-c", code]).split()[-1])
    if not error < MAX_RELATIVE_ERROR:
        sys.exit(f"D is off by {error:.2%} (median); expected less than {MAX_RELATIVE_ERROR:.0%}")
    run([*IVIMKIT, "report", "out"])
    report = Path("out/report.html").read_text(encoding="utf-8")
    record = json.loads(Path("out/fit.json").read_text(encoding="utf-8"))
    versions = record["provenance"]["versions"]
    if "</html>" not in report or versions["ivimkit"] != importlib.metadata.version("ivimkit"):
        sys.exit(f"the report is not whole, or the record has other versions: {versions}")
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    say(f"fit of a phantom: D within {error:.1e}; report written; {listed}")


def check_page(*, expected: bool) -> None:
    """``ivimkit view`` serves its page and the scripts that the page names."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*IVIMKIT, "view", "out", "--no-browser", "--port", str(port)]
    if not expected:
        say(f"no page: {run(command, code=2).strip().splitlines()[-1]}")
        return
    log = Path("view.txt")
    with log.open("w", encoding="utf-8") as file:
        server = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        address = _address(server, log)
        page = _get(address)
        scripts = re.findall(r'(?:src|href)="([^":]+\.(?:js|css)[^"]*)"', page)
        sizes = [len(_get(urllib.parse.urljoin(address, name))) for name in scripts]
    finally:
        server.terminate()
        server.wait(timeout=30)
    if not scripts or min(sizes) < 1000:
        sys.exit(f"the page of the viewer names {scripts} of {sizes} characters")
    say(f"the viewer serves its page and {len(scripts)} files of it, {sum(sizes)} characters")


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(600):
        found = re.search(r"http://\S+", log.read_text(encoding="utf-8"))
        if found is not None:
            return found.group()
        if server.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit(f"ivimkit view gives no address:\n{log.read_text(encoding='utf-8')}")


_OPENER = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor()
)


def _get(address: str) -> str:
    for _ in range(100):
        try:
            with _OPENER.open(address, timeout=30) as answer:
                return str(answer.read().decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            sys.exit(f"{address.split('?')[0]} answers {error}")
        except OSError:
            time.sleep(0.1)
    sys.exit("ivimkit view does not answer")


def check_missing_extras() -> None:
    """What needs an extra that is not installed says which."""
    Path("scan.zarr").mkdir()
    Path("scan.zarr/zarr.json").write_text("{}", encoding="utf-8")
    Path("node.toml").touch()
    Path("paths.tsv").write_text("participant_id\tscan\n01\tscan/dwi.nii.gz\n", encoding="utf-8")
    Path("scan.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    told = []
    for extra, package, command in MISSING:
        if importlib.util.find_spec(package) is not None:
            continue
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        output = " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.stdout + done.stderr).split())
        if done.returncode == 0 or f"ivimkit[{extra}]" not in output:
            sys.exit(
                f"{' '.join(command)} without the extra {extra} ended with {done.returncode}; "
                f"expected a sentence with ivimkit[{extra}]:\n{output[-2000:]}"
            )
        told.append(extra)
    say(f"extras that are not installed are named: {', '.join(told) or 'none is missing'}")


def check_demo() -> None:
    """``ivimkit demo`` runs to its end and leaves its report."""
    start = time.perf_counter()
    run([*IVIMKIT, "demo"])
    if "</html>" not in Path("ivimkit-demo/report.html").read_text(encoding="utf-8"):
        sys.exit("the report of the demo is not whole")
    say(f"ivimkit demo takes {time.perf_counter() - start:.0f} s here")


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    main()
