"""The sections of a report, one file each: from results to blocks, in the order of the page."""
