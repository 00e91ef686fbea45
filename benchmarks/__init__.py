"""Benchmarks: `python -m benchmarks` from the top of the repository, or one `benchmarks.NAME`.

A file here with a constant FIGURE is a benchmark; nothing else has to know of it. Each checks its
answers before it reports a time, and writes machine, versions, commit and conditions beside them.
"""
