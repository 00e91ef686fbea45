"""Run a command and report its time and peak memory: `python child.py WORD ...` prints JSON.

A separate process, because the peak of a child includes the pages it shared with its parent before
it became the command, so the parent has to be small.
"""

import json
import resource
import subprocess
import sys
import time


def main() -> int:
    """Run the command; exit with its code."""
    start = time.perf_counter()
    done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    output = done.stdout.decode(errors="replace")
    print(json.dumps({"seconds": seconds, "peak": peak * unit, "output": output}))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
