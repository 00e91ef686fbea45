"""Numbers about results: summaries, regions, lesion against its surroundings, error to truth."""

from ivimkit.quality.contrast import compare_regions, ring
from ivimkit.quality.regions import roi_table
from ivimkit.quality.summary import summary_rows, summary_table
from ivimkit.quality.truth import error_table

__all__ = [
    "compare_regions",
    "error_table",
    "ring",
    "roi_table",
    "summary_rows",
    "summary_table",
]
