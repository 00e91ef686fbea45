"""Write the JSON Schema of `fit.json` and `comparison.json`: `python docs/make_schema.py`."""

from __future__ import annotations

import json
from pathlib import Path

from ivimkit.io.record_form import ComparisonRecord, ResultRecord, schema

SCHEMAS = Path(__file__).parent / "schema"
FORMS = {"fit": ResultRecord, "comparison": ComparisonRecord}


def text_of(name: str) -> str:
    """Return the text of the schema of a record, ``"fit"`` or ``"comparison"``."""
    return json.dumps(schema(FORMS[name]), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write both, made from the structs that read and write the files."""
    SCHEMAS.mkdir(exist_ok=True)
    for name in FORMS:
        (SCHEMAS / f"{name}.schema.json").write_text(text_of(name), encoding="utf-8")


if __name__ == "__main__":
    main()
