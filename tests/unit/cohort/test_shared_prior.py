"""A prior that the scans of a cohort share: learned once, kept, the same for any workers."""

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module

import nibabel as nib
import numpy as np
import pytest

import ivimkit as ik
from ivimkit.cohort import Ledger, Part, Recipe, dask_workers, find_bids, plan, run
from ivimkit.cohort.protocol import Protocol
from ivimkit.errors import InputError, OptionError
from unit.cohort.conftest import without_times

SHARED = ("--prior", "shared", "--mask", "body", "--threads", "1")
NAME = "sub-01_ses-1_acq-ivim"
PRIOR = "priors/protocol-1_prior.npz"
ONE = ("--participant-label", "01", "--session-id", "1")


@pytest.fixture(scope="module", autouse=True)
def _priors_drawn_once():
    """Keep the pictures of priors: every run writes a page with them, and few are different."""
    section = import_module("ivimkit.cohort.prior_section")
    draw, drawn = section._picture, {}

    def picture(out, pool):
        key = pool.sha256, pool.title, pool.scans
        if key not in drawn:
            drawn[key] = draw(out, pool)
        return drawn[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(section, "_picture", picture)
        yield


def seg(dataset):
    """Masks without labels: the whole scan has one prior."""
    for path in (dataset / "derivatives").rglob("*_dseg.nii.gz"):
        path.unlink()
    return ("--derivatives", f"seg={dataset}/derivatives/seg")


@pytest.fixture(scope="module")
def source(made_dataset, tmp_path_factory):
    """The data set, without labels, and without one of the scans of the second subject."""
    root = shutil.copytree(made_dataset, tmp_path_factory.mktemp("shared") / "raw")
    seg(root)
    shutil.rmtree(root / "sub-02" / "ses-2")
    return root


@pytest.fixture(scope="module")
def recipe():
    return Recipe.of(method="bayes", prior="shared", report=False)


def planned(source, out, recipe, *, participants=("01", "02"), **options):
    found = find_bids(
        source,
        participants=participants,
        derivatives={"seg": source / "derivatives" / "seg"},
        mask="body",
    )
    return plan(found, out, recipe, threads=1, **options)


@pytest.fixture(scope="module")
def whole(source, recipe, tmp_path_factory):
    """Three scans, fitted one after the other."""
    out = tmp_path_factory.mktemp("whole") / "out"
    said = []
    done = run(planned(source, out, recipe, n_procs=0), say=said.append)
    assert done.counts == {"done": 3}
    assert said[0] == "samples for the prior: 3 scans"
    assert f"voxels of 3 scans, {PRIOR}" in said[1]
    return out


def test_any_workers_in_any_order_give_the_same_bytes(source, recipe, whole, tmp_path):
    threads, processes = tmp_path / "threads", tmp_path / "processes"
    made = planned(source, threads, recipe)
    shuffled = replace(
        made, tasks=made.tasks[::-1], prior=replace(made.prior, tasks=made.prior.tasks[::-1])
    )
    with ThreadPoolExecutor(2) as executor:
        run(shuffled, executor=executor)
    run(planned(source, processes, recipe, n_procs=2))
    expected = without_times(whole)
    assert PRIOR in expected
    for out in (threads, processes):
        assert without_times(out) == expected


def test_workers_of_dask_take_the_same_samples_and_write_the_same_bytes(
    source, recipe, whole, cluster, tmp_path
):
    def samples(home):
        return {
            one.name: one.read_bytes() for one in (home / ".ivimkit" / "samples").glob("*.npz")
        }

    # The prior is known, as learning it takes as long as all else; it follows from the samples.
    out = tmp_path / "dask"
    shutil.copytree(whole / "priors", out / "priors")
    with dask_workers(cluster.scheduler_address) as workers:
        run(planned(source, out, recipe), executor=workers)
    assert len(samples(out)) == 3
    assert samples(out) == samples(whole)
    assert without_times(out) == without_times(whole)


def test_the_prior_is_drawn_named_and_in_every_record(whole):
    about = json.loads((whole / "priors" / "protocol-1_prior.json").read_text())
    assert len(about["scans"]) == 3
    assert about["protocol"]["x"][0][:3] == [0.0, 10.0, 20.0]
    home = whole / "sub-01" / "ses-1" / "dwi"
    sidecar = json.loads((home / f"{NAME}_model-ivim_param-D_dwimap.json").read_text())
    cohort = sidecar["Model"]["Parameters"]["Prior"]["all"]["About"]["cohort"]
    assert (cohort["file"], cohort["sha256"]) == (PRIOR, about["sha256"])
    assert f"bids::{PRIOR}" in sidecar["Sources"]
    entry = Ledger(whole).read(NAME)
    assert [(one.name, one.sha256) for one in entry.priors] == [
        ("protocol-1_prior.npz", about["sha256"])
    ]
    assert not list(whole.rglob("log/*prior*"))
    page = (whole / "index.html").read_text()
    assert "Priors that scans share" in page
    assert "protocol-1_prior.npz" in page
    assert "priors" in (whole / ".bidsignore").read_text().split()


def test_its_file_gives_a_single_scan_the_same_maps(source, whole, tmp_path):
    name = f"sub-01/ses-1/dwi/{NAME}"
    mask = source / "derivatives" / "seg" / f"{name}_desc-body_mask.nii.gz"
    dwi = ik.load(source / f"{name}_dwi.nii.gz", bvals=source / "acq-ivim_dwi.bval", mask=mask)
    method = ik.methods.Bayes(prior=ik.load_prior(whole / PRIOR))
    result = ik.fit(dwi, method=method, threads=1)
    shown = nib.load(whole / f"{name}_model-ivim_param-D_dwimap.nii.gz").get_fdata()
    np.testing.assert_array_equal(np.float32(result.maps["D"]), np.float32(shown))
    assert result.priors["all"].rule == "local"
    assert "auto, voxels have neighbours" in result.provenance.chosen["prior"]
    # A list of voxels has no neighbours.
    few = ik.fit(dwi.signal[dwi.mask][:60], dwi.acquisition.bvals, method=method, threads=1)
    assert few.priors["all"].rule == "learned"


def test_what_is_done_is_kept_and_new_scans_take_the_prior_that_is_there(
    source, recipe, whole, tmp_path
):
    out = shutil.copytree(whole, tmp_path / "out")
    before = without_times(out)
    every = {"participants": ("01", "02", "03"), "n_procs": 0}
    more = planned(source, out, recipe, **every)
    assert (len(more.prior.tasks), len(more.tasks), more.kept) == (2, 2, 3)
    assert run(more).counts == {"done": 2}
    after = without_times(out)
    for name in before.keys() - {"index.html"}:
        assert after[name] == before[name]
    # Learned again from all, it is another one, and all scans are fitted again.
    done = run(planned(source, out, recipe, overwrite=True, **every))
    assert (done.counts, done.kept) == ({"done": 5}, 0)
    assert without_times(out)[PRIOR] != before[PRIOR]
    # Learned again from the same, it is the same one, and nothing is left to do.
    done = run(planned(source, out, recipe, overwrite=True, **every))
    assert (done.counts, done.kept) == ({}, 5)
    other = replace(recipe, sigma=20.0)
    with pytest.raises(InputError, match="of other options"):
        planned(source, out, other)
    for path in (out / ".ivimkit").glob("*.json"):
        path.unlink()
    with pytest.raises(InputError, match="priors that were learned with other options"):
        planned(source, out, other)


def test_jobs_of_an_array_learn_it_in_between(source, recipe, whole, tmp_path):
    out = tmp_path / "out"
    parts = [Part(number, 2) for number in (1, 2)]
    with pytest.raises(OptionError, match="has not been learned yet"):
        planned(source, out, recipe, part=parts[0])
    run(planned(source, out, recipe, n_procs=0, part=parts[0], prior_only=True))
    assert not (out / "priors").exists()
    middle = planned(source, out, recipe, n_procs=0, prior_only=True)
    assert (len(middle.prior.tasks), len(middle.tasks)) == (1, 0)
    run(middle)
    for part in parts:
        run(planned(source, out, recipe, n_procs=0, part=part))
    made, expected = without_times(out), without_times(whole)
    # The page is written when no part is left out.
    del made["index.html"], expected["index.html"]
    assert made == expected


def test_the_script_submits_three_jobs_that_wait_for_each_other(source, bids, tmp_path):
    script = bids(source, "participant", *seg(source), *SHARED, "--slurm", "3", method="bayes")
    # A scheduler that prints what it gets; the number of a job is what has been submitted so far.
    home = tmp_path / "bin"
    home.mkdir()
    (home / "sbatch").write_text(
        '#!/bin/bash\n(echo "$@"; cat) >> "$LOG"\ngrep -c job-name "$LOG"\n'
    )
    (home / "sbatch").chmod(0o755)
    log = tmp_path / "log"
    environment = os.environ | {"PATH": f"{home}:{os.environ['PATH']}", "LOG": str(log)}
    subprocess.run(["bash"], input=script, text=True, check=True, env=environment)
    submitted = log.read_text()
    samples, prior, fits = submitted.split("--parsable")[1:]
    assert "--array=1-2 " in samples
    assert '--prior-only --part "$SLURM_ARRAY_TASK_ID/2"\n' in samples
    assert "--dependency=afterany:1 " in prior
    assert prior.rstrip().endswith("--prior-only")
    assert "--dependency=afterok:2 " in fits
    assert fits.endswith('--part "$SLURM_ARRAY_TASK_ID/2"\n')
    assert "--slurm" not in submitted


def test_a_scan_that_fails_has_no_part_in_it_and_one_alone_none_of_its_own(
    source, recipe, tmp_path
):
    root = shutil.copytree(source, tmp_path / "raw")
    damaged = next(root.rglob("sub-01_ses-2*_dwi.nii.gz"))
    damaged.write_bytes(damaged.read_bytes()[:300])
    other = root / "sub-03" / "ses-1" / "dwi" / "sub-03_ses-1_acq-ivim_dwi"
    other.with_suffix(".json").write_text('{"EchoTime": 0.09}')
    made = planned(root, tmp_path / "out", recipe, participants=("01", "03"), n_procs=0)
    done = run(made)
    assert [one.name for one in done.failed] == ["sub-01_ses-2_acq-ivim"]
    assert done.counts == {"done": 3, "failed": 1}
    ledger = Ledger(tmp_path / "out")
    alone = ledger.read("sub-03_ses-1_acq-ivim")
    assert alone.priors == ()
    assert any("voxels of 1 scan to learn a prior from" in text for text in alone.warnings)
    learned = json.loads((tmp_path / "out" / PRIOR).with_suffix(".json").read_text())
    assert learned["scans"] == [NAME, "sub-03_ses-2_acq-ivim"]
    # The prior is not the one that the scans were fitted with: nothing is mixed silently.
    (tmp_path / "out" / PRIOR).write_bytes(b"")
    with pytest.raises(InputError, match="for 2 of the scans"):
        planned(root, tmp_path / "out", recipe, participants=("01", "03"))


def test_each_region_has_a_prior_of_its_own(made_dataset, bids, tmp_path):
    words = ("--derivatives", f"seg={made_dataset}/derivatives/seg", *SHARED)
    shown = bids(made_dataset, "participant", *words, "--prior-only", method="bayes")
    assert "no prior of protocol 1, label " in shown
    bids(made_dataset, "participant", *words, *ONE, method="bayes")
    out = tmp_path / "out"
    pools = [json.loads(path.read_text()) for path in (out / "priors").glob("*.json")]
    expected = {pool["region"]: "local" if pool["sha256"] else "flat" for pool in pools}
    assert set(expected.values()) == {"local", "flat"}
    assert rules_of(out).items() <= expected.items()
    told = " ".join(Ledger(out).read(NAME).warnings)
    assert "prior shared: none of region" in told


def rules_of(out):
    """The prior of each region of a scan, by its sidecar."""
    sidecar = out / "sub-01" / "ses-1" / "dwi" / f"{NAME}_model-ivim_param-D_dwimap.json"
    priors = json.loads(sidecar.read_text())["Model"]["Parameters"]["Prior"]
    return {region: one["Rule"] for region, one in priors.items()}


@pytest.mark.parametrize(
    ("options", "method", "message"),
    [
        (SHARED[:2], "varpro", "method varpro, which has no prior"),
        ((*SHARED[:2], "--preprocess", "denoise"), "bayes", "given with step denoise"),
        ((*SHARED[:2], "--model", "tensor"), "bayes", "depend on the gradient directions"),
        ((*SHARED[:2], "--prior-only", "--slurm", "2"), "bayes", "--prior-only is given with"),
        (("--prior-only",), "bayes", "expected prior shared"),
    ],
)
def test_what_cannot_share_a_prior_comes_before_any_work(
    made_dataset, bids, tmp_path, options, method, message
):
    assert message in bids(made_dataset, "participant", *options, method=method, code=2)
    assert not (tmp_path / "out").exists()


def test_other_priors_are_those_of_the_method():
    with pytest.raises(OptionError, match="the prior of the cohort is 'flat'; expected 'shared'"):
        Recipe.of(method="bayes", prior="flat")
    with pytest.raises(OptionError, match="given with another prior of the method"):
        Recipe.of(method=ik.methods.Bayes(prior="flat"), prior="shared").check()


def protocol(b, **known):
    return Protocol(variables=("b",), x=(tuple(map(float, b)),), known=known)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (protocol([0, 10.9, 810]), True),
        (protocol([0, 10, 817]), False),
        (protocol([0, 800]), False),
        (protocol([0, 10, 800], echo_time=70.4, MagneticFieldStrength=2.89), True),
        (protocol([0, 10, 800], echo_time=75.0), False),
        (protocol([0, 10, 800], MagneticFieldStrength=1.5), False),
        (protocol([0, 10, 800], direction="trace"), True),
    ],
)
def test_protocols_are_the_same_within_their_tolerance(other, same):
    one = protocol([0, 10, 800], echo_time=70.0, MagneticFieldStrength=3.0)
    assert other.is_like(one) is same
