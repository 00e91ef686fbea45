"""Drift, drop-outs and ringing."""

import numpy as np
import pytest

from ivimkit import simulate
from ivimkit.errors import OptionError
from ivimkit.simulate import Artefacts, Drift, Dropouts, Ringing

SHAPE = (40, 30, 4)
B = (0, 100, 0, 200, 800)

SINGLE = 1e-5
"""Relative: phantoms are float32, with a few sums."""


def made(artefacts=None, **options):
    settings = {"shape": SHAPE, "bvals": B, "snr": None, "partial_volume": 2, "seed": 4}
    return simulate.phantom(**(settings | options), artefacts=artefacts)


@pytest.fixture(scope="module")
def plain():
    return made()


@pytest.mark.parametrize("kind", simulate.DRIFT_KINDS)
def test_drift_is_a_factor_on_each_volume(plain, kind):
    drifting = made(Artefacts(drift=Drift(10, kind)))
    factors = drifting.artefacts.drift
    assert factors[[0, -1]].tolist() == pytest.approx([1.0, 0.9])
    steps = np.diff(factors)
    assert (steps < 0).all()
    assert np.allclose(steps, steps[0]) == (kind == "linear")
    np.testing.assert_allclose(drifting.dwi.signal, plain.dwi.signal * factors, rtol=SINGLE)


def test_drift_of_one_volume_is_none():
    assert Drift(10).factors(1).tolist() == [1.0]


def test_dropouts_are_slices_of_diffusion_weighted_volumes(plain):
    dropped = made(Artefacts(dropouts=Dropouts(5, (0.3, 0.5), min_b=150)))
    truth = dropped.artefacts
    lost = 1.0 - truth.dropout_factors[truth.dropped]
    assert len(lost) == 5
    assert (lost >= 0.3).all()
    assert (lost <= 0.5).all()
    assert not truth.dropped[np.array(B) < 150].any()
    expected = plain.dwi.signal * truth.dropout_factors.T
    np.testing.assert_allclose(dropped.dwi.signal, expected, rtol=SINGLE)
    assert (made(Artefacts(dropouts=Dropouts(5)), seed=5).artefacts.dropped != truth.dropped).any()


def test_noise_comes_last():
    noisy = made(Artefacts(drift=Drift(90)), snr=20)
    corner = noisy.dwi.signal[:5, :5].reshape(-1, len(B)).astype(float)
    rms = np.sqrt((corner**2).mean(axis=0))
    np.testing.assert_allclose(rms, np.sqrt(2) * noisy.sigma, rtol=0.2)


def test_ringing_keeps_the_mean_and_overshoots_at_edges(plain):
    ringing = made(Artefacts(ringing=Ringing())).dwi.signal[..., 0]
    still, liver = plain.dwi.signal[..., 0], plain.region("liver")
    assert ringing[liver].mean() == pytest.approx(still[liver].mean(), rel=0.02)
    assert ringing[liver].std() > 1.2 * still[liver].std()
    assert ringing[plain.dwi.mask].max() > 1.02 * still.max()


def test_an_image_that_k_space_holds_is_unchanged():
    """A plane wave of few periods has no ringing; one beyond what was acquired is gone."""
    n, parts = 16, 3
    place = (np.arange(n * parts) - (n * parts - 1) / 2) / parts
    voxel = np.arange(n) - (n - 1) / 2
    for periods, kept in ((2, 1.0), (6, 0.0)):
        fine = 2.0 + np.cos(2 * np.pi * periods * place / n)
        want = 2.0 + kept * np.cos(2 * np.pi * periods * voxel / n)
        image = Ringing(acquired=0.5).image(np.tile(fine, (n * parts, 1)).T, parts)
        np.testing.assert_allclose(image, np.tile(want, (n, 1)).T, rtol=SINGLE)


def test_partial_fourier_blurs_the_phase_encoding_only():
    n, parts = 16, 2
    edge = np.repeat(np.arange(n) >= n // 2, parts).astype(np.float32)
    along_x = np.tile(edge, (n * parts, 1)).T
    for image, changed in ((along_x, False), (along_x.T, True)):
        full, partial = (Ringing(1.0, share).image(image, parts) for share in (1.0, 0.6))
        assert np.allclose(full, partial, rtol=1e-5, atol=1e-6) != changed


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Drift(95), "the drift is 95 percent; expected a number from -90 to 90"),
        (lambda: Drift(float("nan")), "the drift is nan percent"),
        (lambda: Drift(5, "cubic"), "no drift 'cubic'; expected one of linear, quadratic"),
        (lambda: Dropouts(-1), "-1 slices drop out; expected a whole number >= 0"),
        (lambda: Dropouts(1.5), "1.5 slices drop out"),
        (lambda: Dropouts(2, (0.6, 0.2)), r"is \(0.6, 0.2\); expected two numbers, the lower"),
        (lambda: Dropouts(2, 0.2), "is 0.2; expected two numbers"),
        (lambda: Dropouts(2, min_b=-1), "min_b is -1 s/mm"),
        (lambda: Ringing(0.1), "acquired is 0.1; expected a share from 0.25 to 1"),
        (lambda: Ringing(1, 0.5), "partial_fourier is 0.5; expected a share from 0.55 to 1"),
        (lambda: made(Artefacts(dropouts=Dropouts(13))), "13 slices are to drop out.* have 12;"),
        (
            lambda: made(Artefacts(ringing=Ringing()), partial_volume=1),
            "partial_volume is 1, and ringing needs several sample points",
        ),
    ],
)
def test_bad_values(make, message):
    with pytest.raises(OptionError, match=message):
        make()
