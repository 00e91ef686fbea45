"""Scans fitted by the workers of a Dask cluster."""

import os
import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import pytest

from ivimkit.cohort import Ledger, Recipe, dask_upkeep, dask_workers, find_bids, plan, run
from ivimkit.errors import InputError, OptionError
from ivimkit.portable_bits import VARIABLES, cpu_target
from killer_recipe import KillerRecipe
from unit.cohort.conftest import local_cluster, without_times

RECIPE = Recipe.of(method="segmented", report=False)


def test_a_cluster_writes_the_same_bytes(cluster, made_dataset, bids, tmp_path):
    shown = bids(made_dataset, "participant", "--dask", cluster.scheduler_address)
    assert "2 at a time, 1 thread each" in shown
    assert "6 scans fitted" in shown
    bids(made_dataset, out=tmp_path / "here")
    assert without_times(tmp_path / "out") == without_times(tmp_path / "here")
    # Started again, nothing is left to do.
    again = bids(made_dataset, "participant", "--dask", cluster.scheduler_address)
    assert "6 done before" in again


def test_workers_do_less_besides_while_a_run_goes_on(cluster):
    def intervals(dask_worker=None, dask_scheduler=None):
        periodic = (dask_worker or dask_scheduler).periodic_callbacks
        return [periodic[key].callback_time for key in ("tick", "profile") if key in periodic]

    def seen(client):
        workers, nannies = (client.run(intervals, nanny=nanny) for nanny in (False, True))
        return [*workers.values(), *nannies.values(), client.run_on_scheduler(intervals)]

    with cluster.get_client() as client:
        client.wait_for_workers(2)
        usual = seen(client)
        with dask_workers(cluster.scheduler_address):
            rare = seen(client)
        assert seen(client) == usual
    assert usual == [[20, 10]] * 2 + [[20]] * 3
    assert rare == [[1000, 1000]] * 2 + [[1000]] * 3


FAULTS = """
import resource, sys
from types import SimpleNamespace
from runpy import run_path
import numpy as np

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        np.ones(100_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

# Without the package, which takes a second to load.
plugin, _, _ = run_path(sys.argv[1])["_travelling"]()
usual = faults()
plugin.setup(SimpleNamespace(periodic_callbacks={}))
print(usual, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the memory of glibc")
def test_workers_keep_the_memory_of_arrays():
    # As nannies start workers; in a process of its own, as what is free depends on what was done.
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, dask_upkeep.__file__],
        env={**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    usual, few = map(int, done.stdout.split())
    # Each array of 800 kB is of new pages, or of those of the last one.
    assert usual > 50 * 190
    assert few < 1000


def test_a_scan_that_ends_its_workers_fails_alone(cluster, made_dataset, tmp_path):
    planned = plan(find_bids(made_dataset), tmp_path / "out", RECIPE, threads=1)
    killer = replace(planned.tasks[0], recipe=KillerRecipe())
    with dask_workers(cluster.scheduler_address) as workers:
        done = run(replace(planned, tasks=(killer, *planned.tasks[1:5])), executor=workers)
    assert [outcome.name for outcome in done.failed] == [killer.subject.name]
    assert done.counts["done"] == 4
    sentence = Ledger(tmp_path / "out").read(killer.subject.name).sentence
    assert "ended twice without a word" in sentence


def test_portable_bits_reach_new_workers_only(cluster, made_dataset, bids, monkeypatch):
    distributed = pytest.importorskip("distributed")
    with distributed.Client(cluster, set_as_default=False) as client:
        client.run(import_module, "numba")
    # Now they compile for this processor, and so does this process.
    with (
        pytest.raises(InputError, match=r"workers? of the cluster cannot compute portable bits"),
        dask_workers(cluster.scheduler_address, portable_bits=True),
    ):
        pass
    # A refused call changes no worker that comes later: numba would compile all anew there.
    with distributed.Client(cluster, set_as_default=False) as client:
        plugins = client.run_on_scheduler(
            lambda dask_scheduler: list(dask_scheduler.worker_plugins)
        )
        assert "ivimkit-portable-bits" not in plugins
        assert not any(client.run(lambda: VARIABLES.keys() & os.environ.keys()).values())
    shown = bids(made_dataset, "participant", "--portable-bits", code=2)
    assert "asked for too late" in shown
    # One that has not loaded numba, as those that are forked have. Dask loads numpy first: on
    # processors with more than AVX2 a worker is started as the message says.
    for name in VARIABLES:
        if "NUMBA" not in name:
            monkeypatch.setenv(name, VARIABLES[name])
    with (
        import_module("dask").config.set({"distributed.worker.multiprocessing-method": "spawn"}),
        local_cluster(1) as new,
        dask_workers(new.scheduler_address, portable_bits=True) as workers,
    ):
        assert list(workers.client.run(cpu_target).values()) == ["x86-64-v3"]


@pytest.mark.parametrize("option", ["--n-procs", "--mem-mb", "--slurm"])
def test_what_a_cluster_decides_is_refused(made_dataset, bids, tmp_path, option):
    words = ("--dask", "tcp://127.0.0.1:1", option, "2000")
    assert f"{option} is given with --dask" in bids(made_dataset, "participant", *words, code=2)
    assert not (tmp_path / "out").exists()


def test_an_address_where_nobody_is(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("ivimkit.cohort.dask_cluster._ANSWER_S", 0.2)
    with (
        pytest.raises(InputError, match=r"no scheduler of Dask answers at tcp://127\.0\.0\.1:1"),
        dask_workers("tcp://127.0.0.1:1"),
    ):
        pass
    with pytest.raises(OptionError, match="expected the address"), dask_workers("nonsense://x"):
        pass
