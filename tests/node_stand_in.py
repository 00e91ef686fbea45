"""Stand-ins for the child processes of a node: without any library, so that they start at once."""

import json
import os
import sys
import time
from pathlib import Path


def inspect(folder: Path, out: Path, expected: int) -> None:
    """Take every series for a scan, whole if it has the expected number of images."""
    scans = []
    for series in sorted(path for path in folder.iterdir() if path.is_dir()):
        images = sorted(series.glob("*.dcm"))
        content = images[0].read_bytes()
        if b"UNREADABLE" in content:
            sys.exit("error: the images cannot be read")
        if b"ep2d_ivim" in content:
            missing = expected - len(images)
            scans.append(
                {
                    "series": [series.name],
                    "b_values": [0, 50, 400, 800],
                    "description": "ep2d_ivim",
                    "incomplete": f"{missing} images are missing" if missing > 0 else "",
                }
            )
    found = {"scans": scans, "reason": "no diffusion", "patient": "Doe^Jane SECRET-4711"}
    out.write_text(json.dumps(found))


def fit(folder: Path, out: Path, mode: Path) -> None:
    """Write one image per image, or go wrong."""
    how = mode.read_text().strip() if mode.is_file() else ""
    if how == "wrong input":
        sys.stderr.write("error: b-values are missing; expected some. Add them\n")
        sys.exit(2)
    if how == "crash":
        os.abort()
    if how == "hang":
        time.sleep(600)
    if how == "memory":
        bytearray(2_000_000_000)
    if how == "nothing":
        return
    for path in sorted(folder.rglob("*.dcm")):
        content = path.read_bytes()
        # Other images in another series, which is no scan; texts of the same length.
        for old, new in (
            (b".7777.", b".8888."),
            (b"498.2.", b"498.3."),
            (b"p2d_ivim", b"p2d_maps"),
        ):
            content = content.replace(old, new)
        (out / path.name.replace(".7777.", ".8888.")).write_bytes(content)


if __name__ == "__main__":
    what, source, target, last = sys.argv[1:]
    if what == "inspect":
        inspect(Path(source), Path(target), int(last))
    else:
        fit(Path(source), Path(target), Path(last))
