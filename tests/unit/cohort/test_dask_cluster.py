"""Scans fitted by the workers of a Dask cluster."""

from dataclasses import replace
from importlib import import_module

import pytest

from ivimkit.cohort import Ledger, Recipe, dask_workers, find_bids, plan, run
from ivimkit.errors import InputError, OptionError
from ivimkit.portable_bits import cpu_target
from killer_recipe import KillerRecipe
from unit.cohort.conftest import without_times

RECIPE = Recipe.of(method="segmented", report=False)


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as made:
        yield made


def test_a_cluster_writes_the_same_bytes(cluster, made_dataset, bids, tmp_path):
    shown = bids(made_dataset, "participant", "--dask", cluster.scheduler_address)
    assert "2 at a time, 1 thread each" in shown
    assert "6 scans fitted" in shown
    bids(made_dataset, out=tmp_path / "here")
    assert without_times(tmp_path / "out") == without_times(tmp_path / "here")
    # Started again, nothing is left to do.
    again = bids(made_dataset, "participant", "--dask", cluster.scheduler_address)
    assert "6 done before" in again


def test_a_scan_that_ends_its_workers_fails_alone(cluster, made_dataset, tmp_path):
    planned = plan(find_bids(made_dataset), tmp_path / "out", RECIPE, threads=1)
    killer = replace(planned.tasks[0], recipe=KillerRecipe())
    with dask_workers(cluster.scheduler_address) as workers:
        done = run(replace(planned, tasks=(killer, *planned.tasks[1:5])), executor=workers)
    assert [outcome.name for outcome in done.failed] == [killer.subject.name]
    assert done.counts["done"] == 4
    sentence = Ledger(tmp_path / "out").read(killer.subject.name).sentence
    assert "ended twice without a word" in sentence


def test_portable_bits_reach_new_workers_only(cluster, made_dataset, bids):
    distributed = pytest.importorskip("distributed")
    with distributed.Client(cluster, set_as_default=False) as client:
        client.run(import_module, "numba")
    # Now they compile for this processor, and so does this process.
    with (
        pytest.raises(InputError, match=r"workers? of the cluster cannot compute portable bits"),
        dask_workers(cluster.scheduler_address, portable_bits=True),
    ):
        pass
    shown = bids(made_dataset, "participant", "--portable-bits", code=2)
    assert "asked for too late" in shown
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as new,
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
