"""Processes that are killed: what was done stays done, and nothing is done twice."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import ClassVar

from ivimkit.cohort import Ledger, Recipe, find_bids, plan
from ivimkit.cohort.processes import outcomes_by, outcomes_in_processes
from ivimkit.cohort.task import Outcome
from killer_recipe import KillerRecipe
from unit.cohort.conftest import without_times

RECIPE = Recipe.of(method="segmented", report=False)


def test_a_scan_that_ends_its_process_fails_alone(made_dataset, tmp_path):
    planned = plan(find_bids(made_dataset), tmp_path / "out", RECIPE, n_procs=1)
    killer = replace(planned.tasks[0], recipe=KillerRecipe())
    found = list(outcomes_in_processes([killer, *planned.tasks[1:3]], 1))
    states = {outcome.name: outcome.state for outcome in found}
    assert states == dict(
        zip(
            (task.subject.name for task in planned.tasks), ("failed", "done", "done"), strict=False
        )
    )
    entry = Ledger(tmp_path / "out").read(killer.subject.name)
    assert "ended twice without a word" in entry.sentence


def test_a_fault_in_a_bundle_is_that_of_one_scan(made_dataset, tmp_path):
    planned = plan(find_bids(made_dataset), tmp_path / "out", RECIPE, n_procs=1)
    names = [task.subject.name for task in planned.tasks]
    calls = []

    def work(task):
        calls.append(task.subject.name)
        if task.subject.name == names[3]:
            raise ZeroDivisionError
        return Outcome(task.subject.name, "done", seconds=0.1)

    class Here:
        """An executor that does at once what it is sent, and keeps account of it."""

        sizes: ClassVar = []

        def submit(self, function, *args):
            self.sizes.append(len(args[-1]))
            with ThreadPoolExecutor(1) as one:
                return one.submit(function, *args)

    found = {one.name: one for one in outcomes_by(Here(), planned.tasks, 1, work, bundle_s=60)}
    assert Here.sizes == [1, 1, 2, 1, 1, 1, 1]
    # What was in the bundle of the fault is done, or tried, again by itself.
    assert calls == [*names[:4], *names[4:], *names[2:4]]
    assert [found[name].state for name in names] == ["done"] * 3 + ["failed"] + ["done"] * 2
    assert "ZeroDivisionError" in found[names[3]].sentence


def test_a_run_that_is_killed_goes_on_with_the_same_bytes(made_dataset, bids, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    words = ["bids", made_dataset, out, "participant", "--method", "segmented", "--no-reports"]
    child = subprocess.Popen([sys.executable, "-m", "ivimkit", *map(str, words), "--n-procs", "1"])
    ledger = Ledger(out)
    while not any(entry.state == "done" for entry in ledger.entries()):
        assert child.poll() is None
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    first = {entry.name: entry for entry in ledger.entries() if entry.state == "done"}

    # Its worker ends with it, but not at the same instant: a scan may still be claimed.
    while "busy" in bids(made_dataset):
        time.sleep(0.02)
    entries = {entry.name: entry for entry in ledger.entries()}
    assert [entry.state for entry in entries.values()] == ["done"] * 6
    assert {name: entries[name] for name in first} == first

    bids(made_dataset, out=whole)
    assert without_times(out) == without_times(whole)
