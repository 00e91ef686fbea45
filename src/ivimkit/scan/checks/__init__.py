"""Checks of a scan before any fit: order of b-values, odd volumes, file names, air."""

from ivimkit.scan.checks.finding import ScanFinding
from ivimkit.scan.checks.scan_findings import scan_findings

__all__ = ["ScanFinding", "scan_findings"]
