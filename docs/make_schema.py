"""Write the JSON Schemas of records and answers: `python docs/make_schema.py`.

Records are `fit.json` and `comparison.json`, answers what commands print with --json.
"""

from __future__ import annotations

import json
from pathlib import Path

from ivimkit.cli.answers.catalogue_answer import CatalogueAnswer
from ivimkit.cli.answers.check_answer import CheckAnswer
from ivimkit.cli.answers.design_answer import DesignAnswer
from ivimkit.cli.answers.table_answers import CompareAnswer, FitAnswer, RepeatAnswer, RoiAnswer
from ivimkit.io.record_form import ComparisonRecord, ResultRecord, schema

SCHEMAS = Path(__file__).parent / "schema"
RECORDS = {"fit": ResultRecord, "comparison": ComparisonRecord}
ANSWERS = {
    "check-answer": CheckAnswer,
    "compare-answer": CompareAnswer,
    "design-answer": DesignAnswer,
    "fit-answer": FitAnswer,
    "methods-answer": CatalogueAnswer,
    "repeat-answer": RepeatAnswer,
    "roi-answer": RoiAnswer,
}
FORMS = RECORDS | ANSWERS


def text_of(name: str) -> str:
    """Return the text of the schema of a record or an answer, like ``"fit"``."""
    return json.dumps(schema(FORMS[name]), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all, made from the structs that read and write the files, and that are printed."""
    SCHEMAS.mkdir(exist_ok=True)
    for name in FORMS:
        (SCHEMAS / f"{name}.schema.json").write_text(text_of(name), encoding="utf-8")


if __name__ == "__main__":
    main()
