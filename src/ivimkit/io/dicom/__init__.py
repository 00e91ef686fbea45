"""DICOM: scans from the files of a scanner or a PACS, and results back to it."""
