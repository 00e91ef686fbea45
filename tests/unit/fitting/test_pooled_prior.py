"""Samples of scans in units of their own noise, and the prior that is learned from them."""

from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.fitting.pooled_prior import MAX_SIGNALS, pooled_prior, sampled_x, scan_sample
from ivimkit.fitting.settings import FitSettings

SETTINGS = FitSettings.of(method="bayes")


@pytest.fixture(scope="module")
def scans():
    return [ik.simulate.phantom(shape=(20, 14, 1), seed=k).dwi for k in (1, 2, 3)]


@pytest.fixture(scope="module")
def samples(scans):
    return [scan_sample(one, SETTINGS) for one in scans]


def test_a_sample_does_not_depend_on_gain_order_or_threads(scans, samples):
    dwi = scans[0]
    flipped = ik.DWI(dwi.signal[::-1], dwi.acquisition, mask=dwi.mask[::-1])
    other = scan_sample(flipped, SETTINGS, threads=1)
    np.testing.assert_array_equal(other.signals["all"], samples[0].signals["all"])
    louder = scan_sample(dwi.with_signal(8.0 * dwi.signal), SETTINGS)
    np.testing.assert_allclose(louder.signals["all"], samples[0].signals["all"], rtol=1e-9)
    assert len(other.signals["all"]) == min(MAX_SIGNALS, dwi.n_voxels)
    np.testing.assert_array_equal(sampled_x(dwi, SETTINGS.model), other.x)


def test_signals_are_in_units_of_the_noise(scans, samples):
    sigma = ik.simulate.phantom(shape=(20, 14, 1), seed=1).sigma
    given = scan_sample(scans[0], SETTINGS, sigma=float(sigma))
    assert given.is_noise_given
    ratio = np.median(given.signals["all"]) / np.median(samples[0].signals["all"])
    assert ratio == pytest.approx(1.0, abs=0.15)
    a_priori = replace(
        SETTINGS, method=replace(SETTINGS.method, variance=(5.0, float(sigma) ** 2))
    )
    np.testing.assert_allclose(
        scan_sample(scans[0], a_priori).signals["all"], given.signals["all"], rtol=1e-12
    )


def test_the_prior_is_that_of_the_pooled_voxels(scans, samples):
    prior = pooled_prior(samples, "all", SETTINGS, threads=1)
    assert prior.about["cohort"]["scans"] == 3
    assert prior.about["voxels"] == sum(len(one.signals["all"]) for one in samples)
    assert prior.same_as(pooled_prior(samples, "all", SETTINGS, threads=2))
    # Weights that differ from scan to scan are those of its signals.
    twice = replace(samples[0], weight=2.0 * samples[0].weight)
    mixed = pooled_prior([twice, *samples[1:]], "all", SETTINGS)
    assert not mixed.same_as(prior)
    assert mixed.mean()["D"] == pytest.approx(prior.mean()["D"], rel=0.05)


def test_too_few_voxels_or_scans_are_told(samples):
    with pytest.raises(OptionError, match="of 1 scan to learn a prior from; expected at least 50"):
        pooled_prior(samples[:1], "all", SETTINGS)
    few = [replace(one, signals={"all": one.signals["all"][:20]}) for one in samples[:2]]
    with pytest.raises(OptionError, match="there are 40 voxels of 2 scans"):
        pooled_prior(few, "all", SETTINGS)


def test_regions_are_sampled_apart(scans):
    labels = np.zeros(scans[0].shape, dtype=int)
    labels[10:] = 3
    sample = scan_sample(scans[0], SETTINGS, labels=labels)
    assert set(sample.signals) == {"0", "3"}
    assert sum(map(len, sample.signals.values())) <= scans[0].n_voxels


def test_denoised_scans_give_nothing(scans):
    denoised = ik.preprocess(ik.simulate.phantom(shape=(12, 10, 3)).dwi, "denoise").dwi
    with pytest.raises(OptionError, match="the scan was denoised"):
        scan_sample(denoised, SETTINGS)
