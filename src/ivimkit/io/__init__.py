"""Read scans and results from files, and write them; the only importer of nibabel."""

from ivimkit.io.comparison_files import check_comparison, save_comparison
from ivimkit.io.design_files import check_design, save_design
from ivimkit.io.dicom import (
    convert_dicom,
    find_scans,
    list_dicom,
    save_dicom,
    with_template,
)
from ivimkit.io.fitted_scan import load_acquired_scan, load_fitted_scan
from ivimkit.io.image_bytes import image_of_bytes
from ivimkit.io.label_files import load_labels
from ivimkit.io.label_names import load_label_names
from ivimkit.io.map_files import image_bytes, save_map, save_scan
from ivimkit.io.preprocessed_files import check_preprocessed, save_preprocessed
from ivimkit.io.prior_files import load_prior, save_prior
from ivimkit.io.result_files import check_output, save
from ivimkit.io.result_loading import load_result
from ivimkit.io.scan_loading import check_map, load, load_map
from ivimkit.io.table_files import check_tables, csv_of, load_table, save_tables
from ivimkit.io.weight_files import load_weights

__all__ = [
    "check_comparison",
    "check_design",
    "check_map",
    "check_output",
    "check_preprocessed",
    "check_tables",
    "convert_dicom",
    "csv_of",
    "find_scans",
    "image_bytes",
    "image_of_bytes",
    "list_dicom",
    "load",
    "load_acquired_scan",
    "load_fitted_scan",
    "load_label_names",
    "load_labels",
    "load_map",
    "load_prior",
    "load_result",
    "load_table",
    "load_weights",
    "save",
    "save_comparison",
    "save_design",
    "save_dicom",
    "save_map",
    "save_preprocessed",
    "save_prior",
    "save_scan",
    "save_tables",
    "with_template",
]
