"""The sections of a report, one file each: they turn results into blocks."""
