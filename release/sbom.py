"""Write the bill of materials of a wheel in CycloneDX: ``make sbom``.

It lists what a new environment gets with ivimkit alone, and the npm packages that the page of the
viewer is built from, with versions and checksums. The file is next to the wheel.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import check
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator

SCHEMA = SchemaVersion.V1_6
PAGE = check.ROOT / "src" / "ivimkit" / "viewer" / "page"
NPM = ("npm", "sbom", "--sbom-format", "cyclonedx", "--package-lock-only", "--omit", "dev")


def main() -> int:
    """Write the file, and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, help="the wheel of the release")
    wheel = parser.parse_args().wheel.resolve()
    version = wheel.name.split("-")[1]

    os.environ.setdefault("UV_SYSTEM_CERTS", "1")
    environment = check.Environment(check.tools_folder(), sys.executable, "newest", "sbom")
    environment.make()
    pins, _ = environment.pinned([])
    environment.install("--requirements", pins)
    bom = merged(python_packages(environment.interpreter), page_packages(), version)
    text = json.dumps(bom, indent=2, sort_keys=True) + "\n"
    fault = make_schemabased_validator(OutputFormat.JSON, SCHEMA).validate_str(text)
    if fault is not None:
        sys.exit(f"the bill of materials is not valid: {fault}")
    target = wheel.with_name(f"ivimkit-{version}.cdx.json")
    target.write_text(text, encoding="utf-8")
    packages = [str(one["purl"]).split("/")[0] for one in bom["components"]]
    counts = ", ".join(f"{packages.count(kind)} of {kind[4:]}" for kind in sorted({*packages}))
    print(f"{target.name}: packages, {counts}")
    return 0


def python_packages(interpreter: Path) -> dict[str, Any]:
    """Return the bill of materials of an environment."""
    command = [
        *(sys.executable, "-m", "cyclonedx_py", "environment", str(interpreter)),
        *("--pyproject", str(check.ROOT / "pyproject.toml"), "--mc-type", "library"),
        *("--spec-version", SCHEMA.to_version(), "--output-reproducible"),
    ]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def page_packages() -> dict[str, Any]:
    """Return that of the page, from its lock file; nothing is fetched."""
    return json.loads(
        subprocess.run(NPM, cwd=PAGE, capture_output=True, text=True, check=True).stdout
    )


def merged(python: dict[str, Any], page: dict[str, Any], version: str) -> dict[str, Any]:
    """Return one bill of materials: the page is a part of ivimkit, and depends on its packages."""
    root, part = python["metadata"]["component"], page["metadata"]["component"]
    root["version"] = version
    root["purl"] = f"pkg:pypi/ivimkit@{version}"
    components = [*python["components"], part, *page["components"]]
    dependencies = [*python["dependencies"], *page["dependencies"]]
    for one in dependencies:
        if one["ref"] == root["bom-ref"]:
            one["dependsOn"] = sorted({*one.get("dependsOn", []), part["bom-ref"]})
    return {**python, "components": components, "dependencies": dependencies}


if __name__ == "__main__":
    sys.exit(main())
