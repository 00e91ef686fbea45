"""Prior auto: which prior it stands for, on which scan, and what the result says about it."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.fitting import prior_choice
from ivimkit.fitting.prior_choice import prior_for, with_prior
from ivimkit.fitting.training_sample import TrainingSample
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry

MADE = ik.simulate.phantom(shape=(20, 16, 2), snr=30, seed=3)
SIGNAL, B = MADE.dwi.signal, np.array(MADE.dwi.acquisition.bvals)
FLAT_PLANE = np.diag([2.0, 2.0, 0.0, 1.0])


def chosen(signal, prior="auto", mask=None, affine=None, organ=None, model="biexp"):
    """The prior for an array of signals, and the reason."""
    dwi = DWI(signal, B, mask=mask, geometry=Geometry(affine))
    reader = dwi.voxels()
    model = ik.models.get(model)
    sample = TrainingSample(reader, dwi.fit_bvals, dwi.fit_counts, model, np.full(1, np.nan))
    found, why = prior_for(ik.methods.Bayes(prior=prior), sample, dwi.geometry, organ)
    return found, why.get("prior")


@pytest.mark.parametrize(
    ("signal", "options", "name", "why"),
    [
        (SIGNAL, {}, "local", "auto, voxels have neighbours"),
        (SIGNAL[:, :, :1], {}, "local", "auto, voxels have neighbours"),
        (SIGNAL[:, :, 0], {}, "local", "auto, voxels have neighbours"),
        (SIGNAL, {"model": "monoexp"}, "local", "auto, voxels have neighbours"),
        (SIGNAL.reshape(-1, B.size), {}, "learned", "auto, voxels have no neighbours"),
        (SIGNAL.reshape(-1, 1, 1, B.size), {}, "learned", "auto, voxels have no neighbours"),
        (SIGNAL, {"affine": FLAT_PLANE}, "learned", "auto, voxels have no neighbours"),
        (SIGNAL[:7, :7, 0], {}, "flat", "auto, too few voxels to learn from"),
        (SIGNAL[0, 0, 0], {}, "flat", "auto, too few voxels to learn from"),
        (SIGNAL[:7, :7, 0], {"organ": "liver"}, "organ", "auto, too few voxels to learn from"),
        (np.zeros_like(SIGNAL), {}, "flat", "auto, too few voxels to learn from"),
    ],
)
def test_it_takes_what_the_scan_has(signal, options, name, why):
    prior, reason = chosen(signal, **options)
    assert (prior.name, reason) == (name, why)


def test_voxels_that_are_scattered_have_no_neighbours():
    mask = np.zeros(MADE.dwi.shape, dtype=bool)
    mask[::2, ::2, 0] = True
    assert chosen(SIGNAL, mask=mask)[0].name == "learned"
    mask[1::2, ::2, 0] = True
    assert chosen(SIGNAL, mask=mask)[0].name == "local"


def test_its_options_are_passed_on():
    auto = ik.priors.Auto(organ="brain", seed=4, n_voxels=77)
    assert chosen(SIGNAL, auto)[0].options().items() >= {"seed": 4, "n_voxels": 77}.items()
    assert chosen(SIGNAL.reshape(-1, B.size), auto)[0].seed == 4
    # The organ of the prior comes before that of the command.
    assert chosen(SIGNAL[0, 0], auto, organ="liver")[0].organ == "brain"
    with pytest.raises(OptionError, match="n_voxels is 0"):
        ik.priors.Auto(n_voxels=0)
    with pytest.raises(OptionError, match="there is no organ 'hair'"):
        ik.priors.Auto(organ="hair")


def test_other_methods_and_priors_are_left_alone():
    assert chosen(SIGNAL, "flat") == (None, None)
    for method in (ik.methods.VarPro(), ik.methods.Bayes(prior="learned")):
        assert with_prior(method, None) is method
    assert with_prior(ik.methods.VarPro(), ik.priors.Flat()) == ik.methods.VarPro()


def test_a_fit_is_that_with_the_prior_it_took_and_says_so(tmp_path):
    half = np.indices(MADE.dwi.shape)[0] < 10
    dwi = MADE.dwi.with_mask(MADE.dwi.mask & half)
    result = ik.fit(dwi, method="bayes")
    floor = result.provenance.chosen["floor"]
    assert result.method == ik.methods.Bayes(prior=ik.priors.Local(), floor=result.method.floor)
    assert "prior=Local" in repr(result.settings)
    why = {"floor": floor, "prior": "auto, voxels have neighbours"}
    assert result.provenance.chosen == why
    named = ik.fit(dwi, method=ik.methods.Bayes(prior="local"))
    assert named.provenance.chosen == {"floor": floor}
    for name, values in named.maps.items():
        np.testing.assert_array_equal(result.maps[name], values, err_msg=name)
    ik.save(result, tmp_path / "out")
    loaded = ik.load_result(tmp_path / "out")
    assert (loaded.provenance.chosen, loaded.method) == (why, result.method)
    # Its settings are those of a fit that takes the same prior, whatever the scan.
    again = ik.fitting.fit.fit_with(dwi, result.settings)
    np.testing.assert_array_equal(again.maps["D"], result.maps["D"])


def test_an_image_whose_neighbours_are_not_alike_is_fitted_as_a_list():
    rng = np.random.default_rng(1)
    truth = np.stack(
        [
            np.full(225, 1000.0),
            rng.uniform(0.05, 0.4, 225),
            rng.uniform(0.01, 0.1, 225),
            rng.uniform(0.5e-3, 2.5e-3, 225),
        ],
        axis=1,
    )
    signals = ik.simulate.add_noise(ik.simulate.signals("biexp", truth, B), sigma=20.0, seed=1)
    calls = []
    image = signals.reshape(15, 15, -1)
    result = ik.fit(image, B, method="bayes", progress=lambda *now: calls.append(now))
    assert (
        result.provenance.chosen["prior"]
        == "auto, neighbours predict voxels worse than the whole scan"
    )
    assert result.method.prior == ik.priors.Learned()
    assert "local_weight" not in result.maps
    alone = ik.fit(image, B, method=ik.methods.Bayes(prior="learned"))
    np.testing.assert_array_equal(result.maps["f"], alone.maps["f"])
    assert calls[-1] == (225, 225)
    # Who names local gets it.
    named = ik.fit(image[:8, :8], B, method=ik.methods.Bayes(prior="local"))
    assert named.priors["all"].rule == "local"


@pytest.mark.parametrize(
    ("mean", "kept"), [(0.5, True), (0.0, True), (-0.15, True), (-0.25, False), (-1.0, False)]
)
def test_a_tie_is_left_to_neighbours(mean, kept):
    """The mean of 400 values of spread 2 has an error of 0.1: only -0.2 is clearly below zero."""
    gain = np.random.default_rng(5).normal(size=400)
    gain = 2.0 * (gain - gain.mean()) / gain.std(ddof=1) + mean
    assert prior_choice._clearly_below_zero(gain) is not kept


def test_nothing_to_compare_leaves_the_neighbours():
    assert not prior_choice._clearly_below_zero(np.empty(0))
    assert not prior_choice._clearly_below_zero(np.array([-3.0]))


def test_a_lesion_in_much_of_the_same_tissue_keeps_its_neighbours():
    """What neighbours gain in the lesion and lose in the liver is a tie for the evidence."""
    lesion = np.zeros((24, 24), dtype=bool)
    lesion[9:15, 9:15] = True
    truth = np.empty((24, 24, 4))
    truth[:] = 1000.0, 0.25, 60e-3, 1.1e-3
    truth[lesion] = 1000.0, 0.1, 40e-3, 1.6e-3
    clean = ik.simulate.signals("biexp", truth, B)
    image = ik.simulate.add_noise(clean, sigma=1000.0 / 30.0, seed=2)
    result = ik.fit(image, B, method="bayes")
    assert result.provenance.chosen["prior"] == "auto, voxels have neighbours"
    # The same tissue everywhere: the whole scan knows it best.
    alone = ik.simulate.signals("biexp", np.broadcast_to(truth[0, 0], truth.shape), B)
    same = ik.fit(ik.simulate.add_noise(alone, sigma=1000.0 / 30.0, seed=2), B, method="bayes")
    why = "auto, neighbours predict voxels worse than the whole scan"
    assert same.provenance.chosen["prior"] == why


def test_too_few_voxels_need_no_prior_from_the_scan():
    result = ik.fit(SIGNAL[5, 5, 0], B, method="bayes")
    assert result.priors["all"].rule == "flat"
    assert np.isfinite(result.maps["D"])
