"""Noise from the residuals of a fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ivimkit import io, simulate
from ivimkit.errors import NoiseError, OptionError
from ivimkit.fitting.fit import fit
from ivimkit.noise import from_residuals
from ivimkit.noise.residuals import of_regions
from ivimkit.scan.dwi import DWI
from ivimkit.status import FitStatus, at_lower, at_upper
from made_results import BVALS, made_result

SIGMA = 5.0

BIAS = 0.03
"""Relative: the count of degrees is exact for a linear model without bounds only. Measured are up
to 1.5 % in voxels of one tissue with 13 b-values."""


def made_of_chi2(degrees, *, n_voxels=20001, S0=1000.0, **options):
    """Return a result whose cost has these degrees of freedom."""
    cost = SIGMA**2 * np.random.default_rng(0).chisquare(np.full(n_voxels, degrees))
    return made_result({"S0": np.full(n_voxels, S0), "cost": cost}, **options)


def with_settings(result, **changes):
    return dataclasses.replace(result, settings=dataclasses.replace(result.settings, **changes))


def with_provenance(result, **changes):
    return dataclasses.replace(
        result, provenance=dataclasses.replace(result.provenance, **changes)
    )


def test_degrees_are_values_less_parameters():
    found = from_residuals(made_of_chi2(len(BVALS) - 4))
    assert abs(found.sigma - SIGMA) < 4 * found.standard_error
    assert (found.degrees_map == 4).all()
    assert (found.source, found.n_voxels) == ("residuals", 20001)


S0, F, D_STAR, D = range(4)


@pytest.mark.parametrize(
    ("status", "returned"),
    [
        (FitStatus.PERFUSION_NOT_DETECTED, 0),
        (at_upper(D_STAR), 1),
        (at_lower(D), 1),
        (at_lower(F), 2),
        (at_lower(F) | at_upper(D_STAR), 2),
        (at_upper(F), 2),
        (at_upper(F) | at_upper(D_STAR), 3),
    ],
)
def test_parameters_on_a_bound_give_their_degree_back(status, returned):
    result = made_of_chi2(4 + returned, status=np.full(20001, int(status)))
    found = from_residuals(result)
    assert (found.degrees_map == 4 + returned).all()
    assert abs(found.sigma - SIGMA) < 4 * found.standard_error


def test_a_bound_that_leaves_the_pool_there_gives_back_one():
    result = made_of_chi2(5, status=np.full(20001, at_lower(F)))
    bounded = with_settings(result, model=result.model.with_bounds(f=(0.05, 1)))
    assert (from_residuals(bounded).degrees_map == 5).all()


def test_a_fixed_parameter_is_no_free_one():
    result = made_of_chi2(6, status=np.full(20001, at_lower(F)))
    fixed = with_settings(result, model=result.model.with_fixed(D_star=0.02))
    assert (from_residuals(fixed).degrees_map == len(BVALS) - 3 + 1).all()


@pytest.mark.parametrize("snr", [20, 50])
@pytest.mark.parametrize("f", [0.0, 0.1, 0.3])
def test_recovers_the_noise_of_a_fit(f, snr):
    bvals = np.array(simulate.B13, dtype=float)
    clean = simulate.signals("biexp", np.tile([1000, f, 0.03, 1e-3], (2000, 1)), bvals)
    signal = simulate.add_noise(clean, sigma=1000 / snr, kind="gaussian", seed=2)
    found = from_residuals(fit(signal, bvals))
    assert abs(found.sigma * snr / 1000 - 1) < BIAS


@pytest.mark.parametrize("average", ["arithmetic", "none"])
def test_is_that_of_one_volume_whatever_the_averaging(average):
    bvals = np.repeat([0, 20, 50, 100, 200, 400, 600, 800], 4)
    clean = np.tile(1000 * np.exp(-1e-3 * bvals), (2000, 1))
    signal = simulate.add_noise(clean, sigma=SIGMA, seed=3)
    result = fit(DWI(signal, bvals, average=average), model="monoexp")
    found = from_residuals(result)
    assert abs(found.sigma - SIGMA) < 4 * found.standard_error
    assert (found.degrees_map == (30 if average == "none" else 6)).all()


@pytest.mark.filterwarnings("ignore::ivimkit.errors.ScanWarning")
def test_air_does_not_count():
    made = simulate.phantom(shape=(64, 48, 2), snr=30)
    assert (made.labels == 0).mean() > 0.3
    found = from_residuals(fit(made.dwi, mask=np.ones(made.dwi.shape)))
    inside = from_residuals(fit(made.dwi))
    assert found.sigma == pytest.approx(inside.sigma, rel=0.02)
    assert np.isnan(found.map[made.labels == 0]).mean() > 0.9


def test_a_result_that_was_loaded_gives_the_same(tmp_path):
    result = fit(simulate.phantom(shape=(24, 18, 1)).dwi)
    io.save(result, tmp_path / "out")
    # Maps are saved as float32.
    loaded = from_residuals(io.load_result(tmp_path / "out"))
    assert loaded.sigma == pytest.approx(from_residuals(result).sigma, rel=1e-6)


def test_voxels_without_a_fit_are_not_known():
    result = made_result({"S0": [9.0, np.nan, 9.0, 9.0], "cost": [4.0, np.nan, 4.0, 4.0]})
    found = from_residuals(result, pool="mean")
    np.testing.assert_allclose(found.map, [1.0, np.nan, 1.0, 1.0], rtol=1e-12)
    assert found.degrees_map.tolist() == [4.0, 0.0, 4.0, 4.0]
    assert (found.sigma, found.degrees, found.n_voxels) == (1.0, 12.0, 3)


def test_methods_that_do_not_minimise_say_so():
    assert "may be too high" in from_residuals(made_of_chi2(4, method="segmented")).assumes
    assert "may be too high" not in from_residuals(made_of_chi2(4)).assumes


def test_weights_of_zero_or_alike_change_nothing():
    result = made_of_chi2(2)
    weights = [3.0] * 6 + [0.0, 0.0]
    alike = with_provenance(result, counts=weights)
    found = from_residuals(alike)
    assert (found.degrees_map == 2).all()
    assert abs(found.sigma - SIGMA / np.sqrt(3)) < 4 * found.standard_error


def test_other_weights():
    result = with_provenance(made_of_chi2(4), counts=[2.0] + [1.0] * 7)
    with pytest.raises(NoiseError, match="weights that differ from the numbers of averages"):
        from_residuals(result)


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ({"S0": [np.nan], "cost": [np.nan]}, "no voxel has a fit"),
        ({"S0": [1.0], "cost": [100.0]}, "no voxel has a finite signal of three times its noise"),
        ({"S0": [1.0], "cost": [0.0]}, "they are zero; expected real data"),
    ],
)
def test_no_basis(maps, message):
    with pytest.raises(NoiseError, match=message):
        from_residuals(made_result(maps))


def test_as_many_parameters_as_values():
    result = with_provenance(made_of_chi2(4), counts=[1.0] * 4 + [0.0] * 4)
    with pytest.raises(NoiseError, match="4 values for the 4 free parameters of biexp; expected"):
        from_residuals(result)


def test_unknown_pool():
    with pytest.raises(OptionError, match="pool is 'mode'"):
        from_residuals(made_of_chi2(4), pool="mode")


def test_of_regions_is_that_of_each_alone():
    bvals = np.array(simulate.B13, dtype=float)
    clean = simulate.signals("biexp", np.tile([1000, 0.2, 0.03, 1e-3], (120, 1)), bvals)
    signal = np.random.default_rng(0).normal(clean, np.repeat([10.0, 20.0], 60)[:, np.newaxis])
    labels = np.repeat([1, 2, 5], [60, 40, 20])
    # Nothing is known of a region without signal, and that does not matter to the others.
    signal[labels == 5] = 0.0
    found = of_regions(fit(signal, bvals), labels)
    assert list(found) == [1, 2]
    for region, noise in found.items():
        alone = from_residuals(fit(signal[labels == region], bvals))
        assert noise == (alone.sigma, alone.degrees)
    with pytest.raises(NoiseError, match="no voxel has a fit"):
        of_regions(made_result({"S0": [np.nan], "cost": [np.nan]}), np.array([1]))
