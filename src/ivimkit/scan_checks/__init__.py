"""What a scan says about itself before any fit: order of b-values, odd volumes, names, air."""

from ivimkit.scan_checks.checks import scan_findings
from ivimkit.scan_checks.finding import ScanFinding

__all__ = ["ScanFinding", "scan_findings"]
