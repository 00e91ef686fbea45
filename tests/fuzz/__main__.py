"""``make fuzz``: damaged files for every reader; a table of how they end.

``make fuzz ARGS="--cases 5000 --seed 3 --only result,prior"``. A fault is repeated by
``make fuzz ARGS="--only result --seed 3 --first 1234 --cases 1"``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field

from fuzz.targets import TARGETS

_HANG = 120


@dataclass
class Tally:
    """How the cases of a target ended."""

    ended: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[int]] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, number: int, ended: str, what: str, seconds: float) -> None:
        """Count a case."""
        self.ended[ended] += 1
        self.seconds += seconds
        if ended == "fault":
            self.faults.setdefault(what, []).append(number)


def fuzzed(target: str, seed: int, first: int, count: int) -> Tally:
    """Run cases of a target in processes of their own; one that dies is a fault, too."""
    tally, last = Tally(), first + count
    while first < last:
        command = [sys.executable, "-m", "fuzz.worker", str(seed), str(first), str(last - first)]
        worker = subprocess.Popen([*command, target], stdout=subprocess.PIPE, text=True)
        begun = None
        assert worker.stdout is not None
        for line in worker.stdout:
            said = json.loads(line)
            begun = said["number"]
            if "ended" in said:
                tally.add(begun, said["ended"], said["what"], said["seconds"])
                begun, first = None, begun + 1
        code = worker.wait(_HANG)
        if code and begun is None:
            raise SystemExit(f"the worker for {target} ended with {code} between two cases")
        if begun is not None:
            tally.add(begun, "fault", f"the process died, exit code {code}", 0.0)
            first = begun + 1
    return tally


def main() -> None:
    """Fuzz, and print the table."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=500, help="cases per reader (default 500)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default 0)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", default=",".join(TARGETS), help="readers, with commas between")
    asked = parser.parse_args()
    targets = asked.only.split(",")
    unknown = [target for target in targets if target not in TARGETS]
    if unknown:
        parser.error(f"there is no reader {unknown[0]!r}; there are {', '.join(TARGETS)}")
    print(f"{'reader':10}{'cases':>8}{'read':>8}{'refused':>9}{'faults':>8}{'seconds':>9}")
    faults = 0
    for target in targets:
        tally = fuzzed(target, asked.seed, asked.first, asked.cases)
        faults += tally.ended["fault"]
        counts = f"{tally.ended['read']:8}{tally.ended['refused']:9}{tally.ended['fault']:8}"
        print(f"{target:10}{asked.cases:8}{counts}{tally.seconds:9.0f}", flush=True)
        for what, numbers in tally.faults.items():
            print(f"    {len(numbers)} x {what}   cases {numbers[:5]}", flush=True)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
