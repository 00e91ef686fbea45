"""A small BIDS data set: three subjects, two sessions, one scan that cannot be read."""

import json
import multiprocessing
import shutil
from importlib import import_module

import numpy as np
import pytest
from typer.testing import CliRunner

from ivimkit import io, simulate
from ivimkit.cli import app
from ivimkit.io.gradient_files import write_bvals

SHAPE = (8, 8, 3)
DESCRIPTION = {"Name": "phantoms", "BIDSVersion": "1.10.0", "DatasetType": "raw"}


def _write(root):
    """Each subject has two sessions; b-values and JSON are inherited, directions are zero."""
    (root / "derivatives" / "seg").mkdir(parents=True)
    for folder, kind in ((root, "raw"), (root / "derivatives" / "seg", "derivative")):
        about = DESCRIPTION | {"DatasetType": kind, "GeneratedBy": [{"Name": "drawn"}]}
        (folder / "dataset_description.json").write_text(json.dumps(about))
    (root / "README").write_text("Phantoms of ivimkit, for tests.\n")
    (root / "participants.tsv").write_text(
        "participant_id\tage\nsub-01\t41\nsub-02\tn/a\nsub-03\t7\n"
    )
    (root / "acq-ivim_dwi.json").write_text('{"EchoTime": 0.07}')
    for k in range(6):
        subject, session = f"sub-0{1 + k // 2}", f"ses-{1 + k % 2}"
        made = simulate.phantom(shape=SHAPE, seed=k + 1)
        name, place = f"{subject}_{session}_acq-ivim", f"{subject}/{session}/dwi"
        for folder in (root, root / "derivatives" / "seg"):
            (folder / place).mkdir(parents=True)
        scan = root / place / f"{name}_dwi.nii.gz"
        io.save_scan(made.dwi, scan)
        (root / place / f"{name}_dwi.bval").unlink()
        (root / place / f"{name}_dwi.bvec").write_text(
            "\n".join(" ".join("0" * made.dwi.acquisition.n_volumes) for _ in range(3)) + "\n"
        )
        drawn = root / "derivatives" / "seg" / place / name
        geometry, liver = made.dwi.geometry, made.region("liver")
        io.save_map(made.dwi.mask.astype(np.uint8), f"{drawn}_desc-body_mask.nii.gz", geometry)
        io.save_map(liver.astype(np.uint8), f"{drawn}_desc-liver_mask.nii.gz", geometry)
        io.save_map(made.labels, f"{drawn}_dseg.nii.gz", geometry)
    write_bvals(root / "acq-ivim_dwi.bval", made.dwi.acquisition.bvals)


@pytest.fixture(scope="session")
def made_dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("bids") / "raw"
    _write(root)
    return root


@pytest.fixture(scope="session")
def cluster():
    """A Dask cluster: a scheduler, and two workers in processes of their own.

    They are made from a process that has imported everything, as those of ``--n-procs`` are.
    """
    dask, distributed = map(pytest.importorskip, ("dask", "distributed"))
    known = multiprocessing.get_all_start_methods()
    method = "forkserver" if "forkserver" in known else "spawn"
    with dask.config.set({"distributed.worker.multiprocessing-method": method}):
        distributed.utils.get_mp_context().set_forkserver_preload(
            ["distributed", "ivimkit.cohort.dask_cluster"]
        )
        with local_cluster(2) as made:
            yield made


def local_cluster(n_workers):
    """Return a cluster of this machine, whose workers have one thread each."""
    return import_module("distributed").LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        host="127.0.0.1",
    )


@pytest.fixture
def dataset(made_dataset, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(made_dataset, tmp_path / "raw")


@pytest.fixture
def bids(tmp_path, monkeypatch):
    """Run ``ivimkit bids`` in this process, into ``out``, without pictures; return its output."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(root, level="participant", *options, code=0, out=tmp_path / "out", method="segmented"):
        own = []
        if level == "participant":
            own = ["--method", method, "--no-reports"]
            own += [] if {"--n-procs", "--dask"} & set(options) else ["--n-procs", "0"]
        words = ["bids", root, out, level, *own, *options]
        result = CliRunner().invoke(app, list(map(str, words)))
        shown = result.stdout + result.stderr
        assert result.exit_code == code, f"exit code {result.exit_code}: {shown}"
        return shown

    return run


def without_times(folder):
    """The bytes of all files of the result, apart from those that contain times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".ivimkit" not in path.parts and "log" not in path.parts
    }
