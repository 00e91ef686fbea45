"""Files to scans and results, and back; the only importer of nibabel."""

from ivimkit.io.comparisons import check_comparison, save_comparison
from ivimkit.io.fitted_scan import load_fitted_scan
from ivimkit.io.label_names import load_label_names
from ivimkit.io.labels import load_labels
from ivimkit.io.maps import image_bytes, save_map, save_scan
from ivimkit.io.priors import load_prior, save_prior
from ivimkit.io.reading import check_map, load, load_map
from ivimkit.io.received import image_of_bytes
from ivimkit.io.results import check_output, load_result, save
from ivimkit.io.tables import check_tables, csv_of, load_table, save_tables

__all__ = [
    "check_comparison",
    "check_map",
    "check_output",
    "check_tables",
    "csv_of",
    "image_bytes",
    "image_of_bytes",
    "load",
    "load_fitted_scan",
    "load_label_names",
    "load_labels",
    "load_map",
    "load_prior",
    "load_result",
    "load_table",
    "save",
    "save_comparison",
    "save_map",
    "save_prior",
    "save_scan",
    "save_tables",
]
