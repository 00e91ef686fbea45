"""A recipe as it is sent to a worker, and the checksum of its options."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.cohort import Recipe, find_bids
from ivimkit.errors import InputError
from ivimkit.fitting.settings import ScanReading


def test_a_worker_gets_the_same_recipe():
    model = ik.models.get("biexp").with_bounds(f=(0.0, 0.4)).with_fixed(D_star=0.02)
    method = ik.methods.Segmented(b_split=150.0)
    recipe = Recipe.of(model, method, sigma=20.0, reading=ScanReading(bmax=800.0), report=False)
    sent = pickle.dumps(recipe)
    got = pickle.loads(sent)
    assert len(sent) < 10_000
    assert got.digest() == recipe.digest()
    assert got.settings.reading == recipe.settings.reading
    assert got.settings.method == method
    dwi = ik.simulate.phantom(shape=(8, 8, 3)).dwi
    maps = [
        ik.fit(dwi, model=r.settings.model, method=r.settings.method).maps for r in (recipe, got)
    ]
    np.testing.assert_array_equal(maps[0]["D"], maps[1]["D"])


def test_the_numbers_of_a_prior_are_sent_and_count():
    model = ik.models.get("biexp")
    tables = [ik.priors.get("organ", organ=organ).tabulate(model) for organ in ("liver", "brain")]
    recipes = [Recipe.of(method=ik.methods.Bayes(prior=table)) for table in tables]
    assert recipes[0].digest() != recipes[1].digest()
    got = pickle.loads(pickle.dumps(recipes[0]))
    assert got.digest() == recipes[0].digest()


@pytest.mark.parametrize(
    "change",
    [
        {"sigma": "air"},
        {"preprocess": "average"},
        {"strict": True},
        {"method": "segmented"},
        {"portable_bits": True},
    ],
)
def test_options_that_decide_numbers_change_the_checksum(change):
    assert Recipe.of(**change).digest() != Recipe.of().digest()


def test_reports_and_the_call_do_not():
    assert Recipe.of(report=False).digest() == Recipe.of().digest()


def test_a_process_that_compiles_for_itself_is_refused():
    recipe = pickle.loads(pickle.dumps(Recipe.of(portable_bits=True)))
    with pytest.raises(InputError, match=r"a process compiles for .*; expected x86-64-v3 in all"):
        recipe.check_process()


def test_maps_and_models_of_one_scan_are_refused():
    fixed = ik.models.get("biexp").with_fixed(D=np.full((2, 2, 2), 1e-3))
    with pytest.raises(InputError, match="D is fixed to a map, which belongs to one scan"):
        Recipe.of(fixed).check()
    with pytest.raises(InputError, match=r"sigma is 'sigma\.nii'; expected a number or one of"):
        Recipe.of(sigma="sigma.nii").check()


def test_a_scan_has_what_its_sidecar_says_wherever_that_lies(made_dataset, tmp_path):
    (subject, *_) = find_bids(made_dataset).subjects
    assert Recipe.of().load(subject).sidecar == {"EchoTime": 0.07}
    # Of a subject that was described in Python, also one that BIDS would not find.
    other = tmp_path / "protocol.json"
    other.write_text('{"EchoTime": 0.09, "PartialFourier": 0.75, "SliceTiming": [0, 1]}')
    told = Recipe.of().load(replace(subject, sidecars=(other,))).sidecar
    assert told == {"EchoTime": 0.07, "PartialFourier": 0.75}
