"""Benchmarks: `python -m benchmarks` from the top of the repository, or one `benchmarks.NAME`.

A file here with a constant FIGURE is a benchmark and needs no registration. Each checks its
answers before it reports a time, and records machine, versions, commit and conditions with them.
"""
